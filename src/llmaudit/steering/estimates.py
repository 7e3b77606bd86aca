"""From numbers per answer to estimates, with the prompt as the unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric
from llmaudit.gaps import LEVEL, Cells, too_much_missing
from llmaudit.shares import share_interval, tau_interval
from llmaudit.stats import hedges_g_paired, sign_flip, simultaneous_t_intervals, worst_of
from llmaudit.stats.fieller import signed_ratio_interval
from llmaudit.stats.trends import trend
from llmaudit.steering.answers import Numbers
from llmaudit.steering.design import NEUTRAL, PLACEBO, SIDES, SIGN, Design
from llmaudit.steering.metrics import BOUNDED, OFTEN_NONE, TAU
from llmaudit.types import Estimate, Interval

__all__ = ["Column", "Trial"]

Array = NDArray[np.float64]

#: Size of a sum, relative to its terms, that is rounding of the arithmetic.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Column:
    """One number per prompt, and the answers behind it."""

    values: Array
    """Shape (prompts,); NaN where a prompt has none."""
    n: int
    """Usable answers."""
    missing: int
    problem: str | None = None
    p_value: float | None = None
    """Of the test that fits, where that is no sign-flip test."""
    details: Mapping[str, float] = field(default_factory=dict)

    @property
    def kept(self) -> Array:
        """The finite values."""
        return self.values[np.isfinite(self.values)]

    @property
    def mean(self) -> float:
        """Their mean; NaN where there is none."""
        return float(self.kept.mean()) if self.kept.size else math.nan

    def plus(self, other: Column) -> Column:
        """The sum of two columns, prompt by prompt."""
        problem = self.problem or other.problem
        return Column(self.values + other.values, self.n + other.n, self.missing + other.missing, problem)


@dataclass(frozen=True, slots=True)
class Trial:
    """The answers of a steering experiment, sorted by prompt and condition, as numbers."""

    design: Design
    cells: Cells
    """Clusters are the prompts, groups the conditions."""
    numbers: Numbers
    metrics: Mapping[str, Metric]
    seed: int

    def contrast(self, values: Array, weights: Mapping[str, float]) -> Column:
        """Per prompt, the weighted sum of the means of some conditions; `values` has shape (answers,)."""
        means = self.cells.means(values)
        places = [self.cells.groups.index(condition) for condition in weights]
        factors = np.array(list(weights.values()))
        total = np.asarray(means[:, places] @ factors)
        # Means that do not differ have no contrast; what the sum leaves of them is rounding, and no way to go.
        total[np.abs(total) <= _ROUNDING * (np.abs(means[:, places]) @ np.abs(factors))] = 0.0
        return self._column(total, values, list(weights))

    def change(self, values: Array, side: str, strength: float) -> Column:
        """Per prompt, one condition minus neutral."""
        return self.contrast(values, {self.design.condition(side, strength): 1.0, NEUTRAL: -1.0})

    def estimates(self) -> dict[str, Estimate]:
        """Every metric but the deterministic ones."""
        numbers = self.numbers
        found = self._grid("effect", numbers.masked, oriented=True)
        found |= self._grid("raw_effect", dict.fromkeys(SIDES, numbers.raw), oriented=True)
        found |= self._grid("leakage", numbers.listed)
        for name, values in (
            ("cost", numbers.log_perplexity),
            ("repetition_change", numbers.repetition),
            ("length_change", numbers.words),
            ("refusal_change", numbers.refused),
        ):
            found |= self._grid(name, dict.fromkeys(SIDES, values))
        return found | self.over_strengths() | self._at() | self._masked_share()

    def series(self, values: Mapping[str, Array], unit: str) -> dict[str, tuple[float, Interval | None]]:
        """Condition -> its change against neutral, not oriented, on simultaneous intervals: what a figure shows.

        `values` has the sides to show, with shape (answers,) each.
        """
        design = self.design
        columns = {
            design.condition(side, level): self.change(of_side, side, level)
            for side, of_side in values.items()
            for level in design.levels
        }
        intervals = self._intervals(unit, list(columns.values()))
        return {
            condition: (column.mean, interval)
            for (condition, column), interval in zip(columns.items(), intervals, strict=True)
        }

    def side_slopes(self, values: Array, side: str) -> Column:
        """The slope of every prompt, in the intended direction."""
        column = self.contrast(values, self.design.slope_weights(side))
        return replace(column, values=SIGN[side] * column.values)

    def over_strengths(self) -> dict[str, Estimate]:
        """What the whole series of strengths tells: trend, slopes, and how many prompts go the wrong way."""
        masked, raw = self.numbers.masked, self.numbers.raw
        slope = {side: self.side_slopes(masked[side], side) for side in SIDES}
        wrong = {
            side: replace(column, values=np.where(np.isfinite(column.values), column.values < 0, np.nan))
            for side, column in slope.items()
        }
        return {
            **self._sided("trend", {side: self._trend(side) for side in SIDES}),
            **self._sided("slope", slope),
            **self._sided("raw_slope", {side: self.side_slopes(raw, side) for side in SIDES}),
            **self._sided("wrong_way_share", wrong),
            **self._one("placebo_slope", self.side_slopes(masked[PLACEBO], PLACEBO)),
        }

    def _grid(self, name: str, values: Mapping[str, Array], *, oriented: bool = False) -> dict[str, Estimate]:
        design = self.design
        metric = self.metrics[f"{name}.{design.condition(SIDES[0], design.at)}"]
        columns = {
            (side, level): self.change((SIGN[side] if oriented else 1.0) * values[side], side, level)
            for side in SIDES
            for level in design.levels
        }
        named = {design.condition(*key): column for key, column in columns.items()}
        facets = self._facets(name, metric, named, together=True)
        judged = [facets[f"{name}.{design.condition(side, design.at)}"] for side in SIDES]
        intervals = self._intervals(metric.unit, [columns[side, design.at] for side in SIDES])
        return {name: _bare(name, metric, judged, intervals), **facets}

    def _at(self) -> dict[str, Estimate]:
        """What is compared at one strength."""
        masked, at = self.numbers.masked, self.design.at
        plain = {side: self.change(masked[side], side, at) for side in SIDES}
        effects = {side: self.change(SIGN[side] * masked[side], side, at) for side in SIDES}
        placebo = {side: self.change(-SIGN[side] * masked[PLACEBO], PLACEBO, at) for side in SIDES}
        found = {
            **self._sided("effect_over_placebo", {side: effects[side].plus(placebo[side]) for side in SIDES}),
            **self._one("asymmetry", plain["positive"].plus(plain["negative"])),
            **self._one("placebo_cost", self.change(self.numbers.log_perplexity, PLACEBO, at)),
        }
        if self.design.instructed:
            told = {side: self._instructed(SIGN[side] * masked[side], side) for side in SIDES}
            less = {side: replace(column, values=-column.values) for side, column in told.items()}
            found |= self._sided("instruction_effect", told)
            found |= self._sided("effect_over_instruction", {side: effects[side].plus(less[side]) for side in SIDES})
        return found

    def _masked_share(self) -> dict[str, Estimate]:
        """1 - masked effect / raw effect, over the prompts that have both."""
        metric, at = self.metrics["masked_share"], self.design.at
        facets: dict[str, Estimate] = {}
        together: list[Interval | None] = []
        for side in SIDES:
            masked, raw = (self.change(values, side, at) for values in (self.numbers.masked[side], self.numbers.raw))
            both = np.isfinite(masked.values) & np.isfinite(raw.values)
            over, under = (raw.values - masked.values)[both], raw.values[both]
            interval, joint = (signed_ratio_interval(over, under, level) for level in (LEVEL, 1 - (1 - LEVEL) / 2))
            together.append(joint and replace(joint, level=LEVEL, method="simultaneous Fieller (Bonferroni over 2)"))
            value = float(over.mean() / under.mean()) if interval else math.nan
            unshown = f"the raw effect of the {side} side is not distinguishable from 0"
            name = f"masked_share.{side}"
            facets[name] = self._estimate(
                name, metric, replace(raw, values=np.full(len(both), np.nan)), interval, clusters=int(both.sum())
            )
            problem = raw.problem or (None if interval else unshown)
            facets[name] = replace(facets[name], value=value, problem=problem)
        return {"masked_share": _bare("masked_share", metric, list(facets.values()), together), **facets}

    def _trend(self, side: str) -> Column:
        """Kendall's tau-b per prompt, with the p of Page's one-sided test over prompts and strengths."""
        values = SIGN[side] * self.numbers.masked[side]
        series = self.design.series(side)
        matrix = self.cells.means(values)[:, [self.cells.groups.index(condition) for condition in series]]
        found = trend(matrix, seed=self.seed)
        page = {"Page's L": found.page.statistic, "one-sided p of Page's test": found.page.p_value}
        details = {**page, "blocks": found.page.blocks}
        return replace(self._column(found.taus, values, series), p_value=found.p_value, details=details)

    def _instructed(self, values: Array, side: str) -> Column:
        return self.contrast(values, {self.design.instruction(side): 1.0, NEUTRAL: -1.0})

    def _column(self, per_prompt: Array, values: Array, conditions: Sequence[str]) -> Column:
        places = [self.cells.groups.index(condition) for condition in conditions]
        used, finite = np.isin(self.cells.columns, places), np.isfinite(values)
        problem = too_much_missing(values, self.cells, places)
        return Column(per_prompt, int((used & finite).sum()), int((used & ~finite).sum()), problem)

    def _intervals(self, unit: str, columns: Sequence[Column]) -> list[Interval | None]:
        """Intervals of means over prompts that hold together."""
        kept, together = [column.kept for column in columns], len(columns)
        if unit == TAU:
            return [tau_interval(each, len(self.design.doses), together=together) for each in kept]
        if unit in BOUNDED:
            return [share_interval(each, least=BOUNDED[unit], together=together) for each in kept]
        found: list[Interval | None] = [*simultaneous_t_intervals(kept, LEVEL)]
        for place, interval in enumerate(found):
            if unit in OFTEN_NONE and interval and interval.low == interval.high:
                found[place] = share_interval(kept[place], least=-1.0, together=together)
        return found

    def _sided(self, name: str, columns: Mapping[str, Column]) -> dict[str, Estimate]:
        metric = self.metrics[name]
        facets = self._facets(name, metric, columns, together=False)
        intervals = self._intervals(metric.unit, list(columns.values()))
        return {name: _bare(name, metric, list(facets.values()), intervals), **facets}

    def _one(self, name: str, column: Column) -> dict[str, Estimate]:
        metric = self.metrics[name]
        return {name: self._estimate(name, metric, column, self._intervals(metric.unit, [column])[0])}

    def _facets(
        self, name: str, metric: Metric, columns: Mapping[str, Column], *, together: bool
    ) -> dict[str, Estimate]:
        intervals = self._intervals(metric.unit, list(columns.values()))
        found = {}
        for (facet, column), joint in zip(columns.items(), intervals, strict=True):
            interval = joint if together else self._intervals(metric.unit, [column])[0]
            found[f"{name}.{facet}"] = self._estimate(f"{name}.{facet}", metric, column, interval)
        return found

    def _estimate(
        self, name: str, metric: Metric, column: Column, interval: Interval | None, clusters: int | None = None
    ) -> Estimate:
        kept = column.kept
        # A share of prompts is no difference: that it is not 0 is no finding.
        tested = kept.size and metric.unit != "share of prompts"
        p_value = column.p_value if column.p_value is not None else sign_flip(kept, self.seed) if tested else None
        return Estimate(
            metric=name,
            value=column.mean,
            interval=interval,
            unit=metric.unit,
            better=metric.better,
            n=column.n,
            clusters=int(kept.size) if clusters is None else clusters,
            missing=column.missing,
            p_value=p_value,
            effect_size=hedges_g_paired(kept) if tested else None,
            problem=column.problem,
            cluster_values=dict(zip(self.cells.clusters, column.values.tolist(), strict=True)),
            details=column.details,
        )


def _bare(name: str, metric: Metric, facets: Sequence[Estimate], intervals: Sequence[Interval | None]) -> Estimate:
    """The worst facet, on simultaneous intervals.

    Where higher is better the claim is that every facet moved, whose p is the largest (Berger 1982); else that any
    did, whose p is the smallest times their number (Bonferroni).
    """
    worst = worst_of(intervals, [facet.value for facet in facets], metric.better)
    p_values = [facet.p_value for facet in facets if facet.p_value is not None]
    joint = None
    if len(p_values) == len(facets):
        joint = max(p_values) if metric.better == "higher" else min(1.0, len(p_values) * min(p_values))
    return replace(
        facets[worst.facet],
        metric=name,
        value=worst.value,
        interval=worst.interval,
        better="lower" if metric.better == "zero" else metric.better,
        clusters=min(facet.clusters for facet in facets),
        n=sum(facet.n for facet in facets),
        missing=sum(facet.missing for facet in facets),
        p_value=joint,
        problem=next((facet.problem for facet in facets if facet.problem), None),
    )
