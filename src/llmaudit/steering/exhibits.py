"""What a report shows of a steering audit: the verdict in its parts, the usable window, the curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import CheckParams
from llmaudit.exhibits import Bars, Curve, Curves, Figure, Panel, Table
from llmaudit.stats import Limit, judge
from llmaudit.steering.design import NEUTRAL, PLACEBO, SIDES, strength_name
from llmaudit.steering.estimates import Trial
from llmaudit.steering.requests import condition_of
from llmaudit.types import Estimate, Interval, Sample, Verdict

__all__ = ["Part", "conditions_table", "effectiveness", "effectiveness_table", "evidence", "figures", "window_table"]

Answer = Literal["yes", "no", "undecided", "not asked"]

_ANSWERS: Mapping[Verdict, Answer] = {
    Verdict.PASS: "yes",
    Verdict.FAIL: "no",
    Verdict.INCONCLUSIVE: "undecided",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One of the questions whose answers together say whether steering is effective."""

    question: str
    estimate: Estimate
    limit: Limit | None
    """None where the suite declares none."""
    asked: bool = True
    """Whether the design can ask it."""

    @property
    def answer(self) -> Answer:
        """By the rule of every verdict; without a limit nothing is decided."""
        if not self.asked:
            return "not asked"
        return _ANSWERS[judge(self.estimate, self.limit).verdict] if self.limit else "undecided"


def effectiveness(
    estimates: Mapping[str, Estimate], checks: Mapping[str, CheckParams], *, trend: bool
) -> tuple[list[Part], Answer]:
    """Return the four parts of "steering is effective", and whether it is: yes only if all parts are.

    Trend AND slope beyond its limit AND placebo flat AND cost within its margin (docs/statistics.md, section 0.6). The
    limits are those of the suite's checks; `trend` says whether there are strengths enough for one.
    """

    def limit(name: str, key: Literal["min", "max"]) -> Limit | None:
        bound = getattr(checks[name], key) if name in checks else None
        return None if bound is None else Limit(**{key: bound})

    parts = [
        Part("Does the masked score rise with strength?", estimates["trend"], Limit(min=0.0), asked=trend),
        Part("Is the slope large enough?", estimates["slope"], limit("slope", "min")),
        Part("Is the placebo flat?", estimates["placebo_slope"], limit("placebo_slope", "max")),
        Part("Is the cost within its margin?", estimates["cost"], limit("cost", "max")),
    ]
    answers = {part.answer for part in parts if part.asked}
    return parts, "no" if "no" in answers else "undecided" if "undecided" in answers else "yes"


def effectiveness_table(parts: Sequence[Part], effective: Answer) -> Table:
    """Show the parts with their intervals, and the answer that they give."""
    rows: list[tuple[str | float | None, ...]] = [
        (part.question, part.estimate.metric, *_bounds(part.estimate), _limit(part), part.answer) for part in parts
    ]
    rows.append(("Effective: all of these", None, None, None, None, None, effective))
    note = (
        "The bare metrics: the worse of the two sides, on simultaneous intervals, the cost at one strength. A part"
        " whose check declares no limit stays undecided."
    )
    columns = ("part", "metric", "estimate", "low", "high", "limit", "answer")
    return Table("Is steering effective?", columns, tuple(rows), note, first=True)


def window_table(trial: Trial, estimates: Mapping[str, Estimate], margin: float | None) -> Table:
    """Show at which strengths the effect is shown while the cost is within its margin (the max of the check cost)."""
    rows: list[tuple[str | float | None, ...]] = []
    usable: dict[str, list[str]] = {side: [] for side in SIDES}
    for side in SIDES:
        for level in trial.design.levels:
            condition = trial.design.condition(side, level)
            effect, cost = estimates[f"effect.{condition}"], estimates[f"cost.{condition}"]
            answer = _usable(effect, cost, margin)
            if answer == "yes":
                usable[side].append(strength_name(level))
            rows.append((side, level, *_bounds(effect), *_bounds(cost), answer))
    found = "; ".join(f"{side} {', '.join(levels) or 'none'}" for side, levels in usable.items())
    note = (
        "The check cost declares no max: no window can be told."
        if margin is None
        else f"Usable where the masked effect is shown and the cost is below {margin:g}: {found}."
    )
    columns = ("side", "strength", "masked effect", "low", "high", "cost", "low", "high", "usable")
    return Table("The usable window", columns, tuple(rows), note)


def conditions_table(trial: Trial) -> Table:
    """Show means over prompts of everything measured, under every condition."""
    numbers, cells = trial.numbers, trial.cells
    shown: dict[str, NDArray[np.float64]] = {
        "score": numbers.raw,
        "log-perplexity": numbers.log_perplexity,
        "repeated 4-grams": numbers.repetition,
        "words": numbers.words,
        "refused": numbers.refused,
        "empty": numbers.empty,
    }
    columns = {name: _means(cells.means(values)) for name, values in shown.items()}
    design, every = trial.design, (*SIDES, PLACEBO)
    side_of = {name: side for side in every for name in (*design.series(side)[1:], design.instruction(side))}
    masked = {side: _means(cells.means(numbers.masked[side])) for side in every}
    listed = {side: _means(cells.means(numbers.listed[side])) for side in every}
    lost = cells.missing(numbers.words)
    answers = cells.counts(np.ones(len(numbers.words), dtype=np.bool_)).sum(axis=0)
    rows: list[tuple[str | float | int | None, ...]] = []
    for place, condition in enumerate(cells.groups):
        side = side_of.get(condition)
        own = (masked[side][place], listed[side][place]) if side else (None, None)
        rest = [column[place] for column in columns.values()]
        rows.append((condition, int(answers[place]), float(lost[place]), *rest, *own))
    header = ("condition", "answers", "missing", *columns, "masked score", "words of the list")
    note = "Means over prompts. The masked score and the share of listed words are those of the condition's own list."
    return Table("Every condition", header, tuple(rows), note, first=True)


def figures(trial: Trial, scorer: str, unit: str, margin: float | None) -> list[Figure]:
    """Return dose and response above dose and cost, and the slope of every prompt."""
    numbers, every = trial.numbers, (*SIDES, PLACEBO)
    masked = trial.series({side: numbers.masked[side] for side in every}, unit)
    raw = trial.series(dict.fromkeys(SIDES, numbers.raw), unit)
    cost = trial.series(dict.fromkeys(every, numbers.log_perplexity), "nats per token")
    # Curves of one name are drawn alike: a side looks the same in both panels.
    curves = [_curve(trial, masked, side, side) for side in every]
    curves += [_curve(trial, raw, side, f"{side}, raw") for side in SIDES]
    effects = Panel(f"change of {scorer}, words masked or raw, {unit}", tuple(curves), zero=True)
    costs = tuple(_curve(trial, cost, side, side) for side in every)
    limits = () if margin is None else (margin,)
    panels = (effects, Panel("change of log-perplexity, nats per token", costs, zero=True, limits=limits))
    return [
        Curves("Dose and response, and what it costs", "strength", panels),
        *(_slopes(trial, side, scorer, unit) for side in SIDES),
    ]


def evidence(trial: Trial, estimates: Mapping[str, Estimate], samples: Sequence[Sample]) -> dict[str, tuple[int, ...]]:
    """Metric -> the prompts that look worst by it: their first steered and their first neutral answer, in turn.

    A change shows its own condition, a slope or a trend the greatest strength.
    """
    first: dict[tuple[str, str], int] = {}
    for place, sample in enumerate(samples):
        first.setdefault((sample.request.cluster, condition_of(sample)), place)
    design, strongest = trial.design, trial.design.levels[-1]
    found: dict[str, tuple[int, ...]] = {}
    for name in ("effect", "raw_effect", "cost", "leakage", "repetition_change"):
        conditions = {side: [design.condition(side, level) for level in design.levels] for side in SIDES}
        for condition in (condition for of_side in conditions.values() for condition in of_side):
            found[f"{name}.{condition}"] = _worst(estimates[f"{name}.{condition}"], first, condition)
        # The side that the bare metric takes.
        bare = {f"{name}.{design.condition(side, design.at)}": side for side in SIDES}
        found[name] = found[_worse(bare, estimates)]
    for name in ("trend", "slope", "raw_slope"):
        for side in SIDES:
            condition = design.condition(side, strongest)
            found[f"{name}.{side}"] = _worst(estimates[f"{name}.{side}"], first, condition)
        found[name] = found[_worse([f"{name}.{side}" for side in SIDES], estimates)]
    found["placebo_slope"] = _worst(estimates["placebo_slope"], first, design.condition(PLACEBO, strongest))
    return found


def _worst(estimate: Estimate, first: Mapping[tuple[str, str], int], condition: str) -> tuple[int, ...]:
    """The answers under a condition, and neutral ones, of the three prompts that look worst."""
    harm = {prompt: _harm(value, estimate) for prompt, value in estimate.cluster_values.items() if math.isfinite(value)}
    worst = sorted(harm, key=lambda prompt: -harm[prompt])[:3]
    return tuple(first[prompt, each] for prompt in worst for each in (condition, NEUTRAL))


def _worse(metrics: Iterable[str], estimates: Mapping[str, Estimate]) -> str:
    harms = {metric: _harm(estimates[metric].value, estimates[metric]) for metric in metrics}
    return max(harms, key=lambda metric: -math.inf if math.isnan(harms[metric]) else harms[metric])


def _harm(value: float, estimate: Estimate) -> float:
    """The value, so oriented that larger is worse."""
    return {"lower": value, "higher": -value, "zero": abs(value)}[estimate.better]


def _slopes(trial: Trial, side: str, scorer: str, unit: str) -> Bars:
    column = trial.side_slopes(trial.numbers.masked[side], side)
    rows = [(prompt, value) for prompt, value in zip(trial.cells.clusters, column.values.tolist(), strict=True)]
    rows.sort(key=lambda row: math.inf if math.isnan(row[1]) else row[1])
    shown = tuple((prompt, None if math.isnan(value) else value) for prompt, value in rows)
    title = f"Slope of every prompt, {side}: below 0 it moves the wrong way"
    return Bars(title, f"slope of masked {scorer}, {unit} per unit of strength", shown)


def _curve(trial: Trial, changes: Mapping[str, tuple[float, Interval | None]], side: str, name: str) -> Curve:
    design = trial.design
    points = ((level, *_point(*changes[design.condition(side, level)])) for level in design.levels)
    return Curve(name, ((0.0, 0.0, None, None), *points))


def _bounds(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    return _point(estimate.value, estimate.interval)


def _point(value: float, interval: Interval | None) -> tuple[float | None, float | None, float | None]:
    shown = None if math.isnan(value) else value
    return (shown, interval.low, interval.high) if interval else (shown, None, None)


def _limit(part: Part) -> str:
    if part.limit is None:
        return "none declared" if part.asked else ""
    return f"above {part.limit.min:g}" if part.limit.min is not None else f"below {part.limit.max:g}"


def _usable(effect: Estimate, cost: Estimate, margin: float | None) -> Answer:
    if margin is None or effect.problem or cost.problem or not (effect.interval and cost.interval):
        return "undecided"
    if effect.interval.low > 0 and cost.interval.high < margin:
        return "yes"
    return "no" if effect.interval.high <= 0 or cost.interval.low > margin else "undecided"


def _means(matrix: NDArray[np.float64]) -> list[float | None]:
    """Mean over prompts of every condition; None for one without any."""
    found: list[float | None] = []
    for column in matrix.T:
        finite = column[np.isfinite(column)]
        found.append(float(finite.mean()) if finite.size else None)
    return found
