"""From one value per prompt and level to estimates: per level, between levels, and over all of them in order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric
from llmaudit.gaps import LEVEL, MAX_MISSING
from llmaudit.shares import share_interval, tau_interval
from llmaudit.stats import hedges_g_paired, sign_flip, t_interval, worst_of
from llmaudit.stats.trends import trend
from llmaudit.types import Estimate, Interval

__all__ = [
    "Measure",
    "Measured",
    "change_estimates",
    "change_metrics",
    "level_estimates",
    "level_metrics",
    "neighbours",
    "trend_estimates",
    "trend_metrics",
]

Array = NDArray[np.float64]
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured of the answers to one prompt at one level."""

    name: str
    description: str
    unit: str
    better: Literal["lower", "higher"]
    events: bool = False
    """Whether it is a share of answers or letters to which something rare happens: most prompts, or all, have none."""
    bound: float | None = None
    """The value that it reaches and never passes, if all prompts may have it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One value of a measure per prompt and level."""

    measure: Measure
    prompts: tuple[str, ...]
    levels: tuple[str, ...]
    """In order; those of `apart` follow and are in no order, no trend and no worst level."""
    apart: tuple[str, ...]
    values: Array
    """Shape (prompts, levels + apart); NaN where a prompt has no value."""
    answers: tuple[int, ...]
    """Per level, the number of answers that the values are of."""
    asked: int
    """The number of answers that were asked for at each level."""
    problem: str | None = None
    """Why there can be no values."""

    def column(self, level: str) -> Array:
        """The values of a level, shape (prompts,)."""
        return np.asarray(self.values[:, self._place(level)])

    def count(self, level: str) -> int:
        """The number of answers that the values of a level are of."""
        return self.answers[self._place(level)]

    def lost(self, column: Array) -> str | None:
        """Say why so many prompts are missing that the others cannot stand for them, or None."""
        missing = int(np.isnan(column).sum())
        if self.problem or missing <= MAX_MISSING * len(column):
            return self.problem
        return f"{missing} of {len(column)} prompts could not be measured (at most {MAX_MISSING:.0%})"

    def _place(self, level: str) -> int:
        return (*self.levels, *self.apart).index(level)


def neighbours(levels: Sequence[str]) -> list[tuple[str, str]]:
    """Return each level with the next one."""
    return list(pairwise(levels))


def level_metrics(measure: Measure, levels: Sequence[str], apart: Sequence[str] = ()) -> dict[str, Metric]:
    """Name what `level_estimates` gives."""
    name = measure.name
    metric = Metric(measure.description, measure.unit, measure.better)
    worst = replace(metric, description=f"{measure.description}; the worst level")
    return {name: worst, **{f"{name}.{level}": metric for level in (*levels, *apart)}}


def level_estimates(measured: Measured) -> dict[str, Estimate]:
    """Estimate the mean over prompts at each level (`NAME.LEVEL`), and the worst level (`NAME`)."""
    measure, found = measured.measure, []
    for level in (*measured.levels, *measured.apart):
        column = measured.column(level)
        kept = column[np.isfinite(column)]
        facet = Estimate(
            metric=f"{measure.name}.{level}",
            value=_mean(kept),
            interval=_of_values(kept, measure),
            unit=measure.unit,
            better=measure.better,
            n=measured.count(level),
            clusters=int(kept.size),
            missing=measured.asked - measured.count(level),
            problem=measured.lost(column),
            cluster_values=_by_prompt(measured, column),
        )
        found.append(facet)
    ordered = found[: len(measured.levels)]
    columns = [measured.column(level) for level in measured.levels]
    intervals = [_of_values(column[np.isfinite(column)], measure, together=len(ordered)) for column in columns]
    bare = _worst(measure.name, ordered, intervals)
    return {bare.metric: bare, **{facet.metric: facet for facet in found}}


def change_metrics(measure: Measure, pairs: Pairs) -> dict[str, Metric]:
    """Name what `change_estimates` gives."""
    name = f"{measure.name}_change"
    metric = Metric(f"change of the {measure.description}, from level to level", measure.unit, measure.better)
    worst = replace(metric, description=f"{metric.description}; the worst pair of levels")
    return {name: worst, **{f"{name}.{low}-{high}": metric for low, high in pairs}}


def change_estimates(measured: Measured, pairs: Pairs, *, seed: int) -> dict[str, Estimate]:
    """Estimate the mean change within prompts from one level to another (`NAME_change.LOW-HIGH`), and the worst."""
    name, facets = f"{measured.measure.name}_change", []
    columns = [measured.column(high) - measured.column(low) for low, high in pairs]
    for (low, high), column in zip(pairs, columns, strict=True):
        kept = column[np.isfinite(column)]
        facet = Estimate(
            metric=f"{name}.{low}-{high}",
            value=_mean(kept),
            interval=_of_changes(kept, measured.measure),
            unit=measured.measure.unit,
            better=measured.measure.better,
            n=measured.count(low) + measured.count(high),
            clusters=int(kept.size),
            missing=2 * measured.asked - measured.count(low) - measured.count(high),
            p_value=sign_flip(kept, seed) if kept.size else None,
            effect_size=hedges_g_paired(kept) if kept.size else None,
            problem=measured.lost(column),
            cluster_values=_by_prompt(measured, column),
        )
        facets.append(facet)
    finite = [column[np.isfinite(column)] for column in columns]
    intervals = [_of_changes(kept, measured.measure, together=len(pairs)) for kept in finite]
    bare = _worst(name, facets, intervals)
    return {bare.metric: bare, **{facet.metric: facet for facet in facets}}


def trend_metrics(measures: Sequence[Measure]) -> dict[str, Metric]:
    """Name what `trend_estimates` gives."""
    unit = "Kendall's tau-b"
    found = {
        f"trend.{measure.name}": Metric(
            f"rise from level to level within prompts of diversity by: {measure.description}", unit, "higher"
        )
        for measure in measures
    }
    return {"trend": Metric("rise of diversity from level to level; the worst measure", unit, "higher"), **found}


def trend_estimates(measured: Sequence[Measured], *, seed: int) -> dict[str, Estimate]:
    """Estimate the mean tau-b within prompts between level and measure (`trend.NAME`), and the worst measure.

    A measure of which less is more diverse is turned round. The p-value is Page's one-sided one, over blocks of prompts
    (Page 1963); of two levels the sign-flip one.
    """
    facets = [_trend(each, seed=seed) for each in measured]
    taus = [np.array([value for value in facet.cluster_values.values() if math.isfinite(value)]) for facet in facets]
    intervals = [tau_interval(each, len(measured[0].levels), together=len(facets)) for each in taus]
    bare = _worst("trend", facets, intervals)
    return {bare.metric: bare, **{facet.metric: facet for facet in facets}}


def _trend(measured: Measured, *, seed: int) -> Estimate:
    ordered = measured.values[:, : len(measured.levels)]
    oriented = ordered if measured.measure.better == "higher" else -ordered
    taus, _, p_value = trend(oriented, seed=seed)
    kept = taus[np.isfinite(taus)]
    used = sum(measured.count(level) for level in measured.levels)
    return Estimate(
        metric=f"trend.{measured.measure.name}",
        value=_mean(kept),
        interval=tau_interval(kept, len(measured.levels)),
        unit="Kendall's tau-b",
        better="higher",
        n=used,
        clusters=int(kept.size),
        missing=measured.asked * len(measured.levels) - used,
        p_value=p_value,
        problem=measured.lost(taus),
        cluster_values=_by_prompt(measured, taus),
    )


def _worst(name: str, facets: Sequence[Estimate], intervals: Sequence[Interval | None]) -> Estimate:
    worst = worst_of(intervals, [facet.value for facet in facets], facets[0].better)
    # A facet that cannot be judged may be the worst one.
    problem = next((f"{facet.metric}: {facet.problem}" for facet in facets if facet.problem), None)
    p_values = [facet.p_value for facet in facets if facet.p_value is not None]
    return replace(
        facets[worst.facet],
        metric=name,
        value=worst.value,
        interval=worst.interval,
        clusters=min(facet.clusters for facet in facets),
        # That every facet differs is shown by the largest p alone (Berger 1982).
        p_value=max(p_values) if len(p_values) == len(facets) else None,
        problem=problem,
    )


def _of_values(kept: Array, measure: Measure, together: int = 1) -> Interval | None:
    """Interval of a mean over prompts, one of `together` that hold at LEVEL."""
    at_bound = measure.bound is not None and bool((kept == measure.bound).all())
    return (
        share_interval(kept, least=0.0, together=together) if measure.events or at_bound else _of_means(kept, together)
    )


def _of_changes(kept: Array, measure: Measure, together: int = 1) -> Interval | None:
    """Interval of a mean change. That all prompts have the same one, such as none, is no certainty either."""
    alike = measure.unit == "proportion" and bool((kept == kept[:1]).all())
    return share_interval(kept, least=-1.0, together=together) if measure.events or alike else _of_means(kept, together)


def _of_means(kept: Array, together: int) -> Interval | None:
    found = t_interval(kept, 1 - (1 - LEVEL) / together)
    return found and replace(found, level=LEVEL)


def _by_prompt(measured: Measured, column: Array) -> dict[str, float]:
    return dict(zip(measured.prompts, column.tolist(), strict=True))


def _mean(kept: Array) -> float:
    return float(kept.mean()) if kept.size else math.nan
