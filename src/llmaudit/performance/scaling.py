"""How times grow: a step over the batch, the first token over the prompt, and where growth begins to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from llmaudit.audit import Metric
from llmaudit.engines.launches import Workload
from llmaudit.facets import Facet, absent, declared, faceted, joint_level, together
from llmaudit.gaps import LEVEL
from llmaudit.performance.estimates import averaged
from llmaudit.performance.observations import Array, Observations
from llmaudit.performance.ratios import log_ratio
from llmaudit.performance.readings import cell_reading
from llmaudit.stats import hedges_g_paired, sign_flip
from llmaudit.stats.fieller import signed_ratio_interval
from llmaudit.types import Estimate

__all__ = ["Series", "scaling_estimates", "scaling_metrics", "series_of"]

#: Fewest sizes whose line shows where the fixed part of the time ends; two points lie on a line whatever they are.
_KNEE_SIZES = 3

_GAIN = Metric("tokens per second at the largest batch, over those at the smallest", "ratio", "higher")


@dataclass(frozen=True, slots=True)
class Series:
    """Workloads that differ in one size alone, smallest first: two or more."""

    over: Literal["batch", "prompt"]
    workloads: tuple[Workload, ...]

    @property
    def sizes(self) -> list[int]:
        """The size that differs."""
        return [each.batch if self.over == "batch" else each.prompt_tokens for each in self.workloads]

    @property
    def metric(self) -> str:
        """The time that grows with it."""
        return "tpot" if self.over == "batch" else "ttft"


def series_of(workloads: Sequence[Workload]) -> tuple[Series, ...]:
    """Find the workloads over which growth is fitted: those beside the first one, in batch and in prompt length."""
    first = workloads[0]
    batches = [each for each in workloads if _rest(each, "batch") == _rest(first, "batch")]
    prompts = [each for each in workloads if _rest(each, "prompt") == _rest(first, "prompt")]
    found = (
        Series("batch", tuple(sorted(batches, key=lambda each: each.batch))),
        Series("prompt", tuple(sorted(prompts, key=lambda each: each.prompt_tokens))),
    )
    return tuple(series for series in found if len(series.workloads) > 1)


def scaling_metrics(arms: Sequence[str], workloads: Sequence[Workload]) -> dict[str, Metric]:
    """Slope and knee of every series, and what the largest batch gains."""
    found: dict[str, Metric] = {}
    for series in series_of(workloads):
        for name, metric in _metrics(series).items():
            found |= declared(name, metric, list(arms))
    return found


def scaling_estimates(
    seen: Observations, arms: Sequence[str], workloads: Sequence[Workload], seed: int
) -> dict[str, Estimate]:
    """Estimate every metric of `scaling_metrics`.

    Per launch a line is fitted by least squares, time = fixed + slope x size. The knee is fixed / slope: the size at
    which half of the highest rate is reached, as growth costs as much as what is there anyway (Hockney's n_1/2: Hockney
    and Jesshope 1981, "Parallel computers", section 1.3).
    """
    found: dict[str, Estimate] = {}
    for series in series_of(workloads):
        lines = {arm: _lines(seen, arm, series) for arm in arms}
        facets = {
            f"{series.over}_slope": {arm: _slope(seen, arm, lines[arm], len(arms)) for arm in arms},
            f"{series.over}_knee": {arm: _knee(seen, arm, (series, lines[arm]), len(arms)) for arm in arms},
        }
        if series.over == "batch":
            facets["batch_gain"] = {arm: _gain(seen, arm, series, len(arms), seed) for arm in arms}
        for name, metric in _metrics(series).items():
            found |= faceted(name, metric, facets[name])
    return found


def _metrics(series: Series) -> Mapping[str, Metric]:
    if series.over == "batch":
        return {
            "batch_slope": Metric("seconds that a further text adds to a step", "seconds per text", "lower"),
            "batch_knee": Metric("batch at which half of the highest throughput is reached", "texts", "lower"),
            "batch_gain": _GAIN,
        }
    return {
        "prompt_slope": Metric("seconds that a further token of the prompt adds", "seconds per token", "lower"),
        "prompt_knee": Metric("prompt whose reading costs as much as starting to read", "tokens", "lower"),
    }


def _rest(workload: Workload, over: Literal["batch", "prompt"]) -> tuple[int, int]:
    return (workload.prompt_tokens if over == "batch" else workload.batch), workload.new_tokens


def _lines(seen: Observations, arm: str, series: Series) -> dict[str, tuple[float, float]]:
    """Launch -> (fixed seconds, seconds per size), over the launches that have all the times."""
    columns = [seen.readings(arm, cell_reading(series.metric, workload)) for workload in series.workloads]
    whole = [name for name in columns[0] if all(name in column for column in columns)]
    found: dict[str, tuple[float, float]] = {}
    for name in whole:
        slope, fixed = np.polyfit(series.sizes, [column[name] for column in columns], 1)
        found[name] = (float(fixed), float(slope))
    return found


def _slope(seen: Observations, arm: str, lines: Mapping[str, tuple[float, float]], together_with: int) -> Facet:
    slopes = {name: slope for name, (_, slope) in lines.items()}
    return averaged(seen, arm, lambda result: slopes.get(seen.name(result)), together_with)


def _knee(
    seen: Observations, arm: str, fitted: tuple[Series, Mapping[str, tuple[float, float]]], together_with: int
) -> Facet:
    series, lines = fitted
    if reason := seen.absence(arm):
        return absent(reason)
    if len(series.workloads) < _KNEE_SIZES:
        return absent(f"n/a: a knee needs {_KNEE_SIZES} sizes, and there are {len(series.workloads)}")
    fixed, slopes = (np.array([line[side] for line in lines.values()]) for side in (0, 1))
    if not lines or fixed.mean() <= 0 or slopes.mean() <= 0:
        return absent("n/a: no knee in this range: the time has no fixed part, or does not grow")
    own, joint = (signed_ratio_interval(fixed, slopes, level) for level in (LEVEL, joint_level(together_with)))
    vague = None if own else "n/a: the slope cannot be told from 0, so that the knee may lie anywhere"
    return Facet(
        float(fixed.mean() / slopes.mean()),
        len(lines),
        len(lines),
        own,
        together(joint, together_with),
        missing=seen.order.count(arm) - len(lines),
        problem=seen.few(len(lines)) or seen.loud or vague,
        details={"fixed seconds": float(fixed.mean()), "seconds per size": float(slopes.mean())},
    )


def _gain(seen: Observations, arm: str, series: Series, together_with: int, seed: int) -> Facet:
    if reason := seen.absence(arm):
        return absent(reason)
    least, most = (
        seen.readings(arm, cell_reading("decode_rate", workload))
        for workload in (series.workloads[0], series.workloads[-1])
    )
    values = {name: most[name] / least[name] for name in least if name in most}
    if not values:
        return absent("n/a: there are no such times")
    logs: Array = np.log(np.fromiter(values.values(), dtype=np.float64))
    value, own, joint = log_ratio(logs, together_with)
    return Facet(
        value,
        len(values),
        len(values),
        own,
        joint,
        missing=seen.order.count(arm) - len(values),
        p_value=sign_flip(logs, seed),
        effect_size=hedges_g_paired(logs),
        problem=seen.few(len(values)) or seen.loud,
        cluster_values=values,
    )
