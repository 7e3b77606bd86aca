"""Means over items with the cluster as the unit: values as published, intervals as clusters allow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from llmaudit.audit import Metric
from llmaudit.gaps import LEVEL, MAX_MISSING
from llmaudit.likelihood.answers import Array
from llmaudit.stats import clopper_pearson, hedges_g_paired, ratio_interval, sign_flip, t_interval
from llmaudit.types import Estimate, Interval

__all__ = ["Column", "Facets", "estimate_of", "excess_over", "faceted", "with_p_of"]


#: Clusters that differ from all others below which a share's t interval, or bootstrap, rests on next to nothing.
_RARE = 5


@dataclass(frozen=True, slots=True)
class Column:
    """One number per item."""

    values: Array
    """Shape (items,); NaN where an answer is missing."""
    clusters: tuple[str, ...]
    bounds: tuple[float, float] | None = None
    """The smallest and largest number there can be, for a share."""
    null: float | None = 0.0
    """What the mean is where nothing differs; None where a comparison with it says nothing."""
    weight: Literal["items", "clusters"] = "items"
    """What counts equally: every item, as most sets are scored, or every cluster."""
    nothing: str = "there are no answers"
    """What is wrong where there are no numbers at all."""

    def of(self, chosen: NDArray[np.bool_]) -> Column:
        """Return the column of some of the items; shape (items,)."""
        clusters = tuple(cluster for cluster, keep in zip(self.clusters, chosen, strict=True) if keep)
        return Column(self.values[chosen], clusters, self.bounds, self.null, self.weight, self.nothing)

    def sums(self) -> tuple[dict[str, float], dict[str, int]]:
        """Sum and number of the finite values of every cluster that has any."""
        sums: dict[str, float] = {}
        counts: dict[str, int] = {}
        for cluster, value in zip(self.clusters, self.values.tolist(), strict=True):
            if math.isfinite(value):
                sums[cluster] = sums.get(cluster, 0.0) + value
                counts[cluster] = counts.get(cluster, 0) + 1
        return sums, counts


@dataclass(frozen=True, slots=True)
class Facets:
    """The parts of a set that have estimates of their own: name -> which items, shape (items,)."""

    parts: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    @classmethod
    def by(cls, *labels: Sequence[str]) -> Facets:
        """One part per distinct label; every list labels all items."""
        parts = {name: np.array(each) == name for each in labels for name in dict.fromkeys(each)}
        return cls(parts)


def faceted(name: str, metric: Metric, column: Column, facets: Facets, *, seed: int) -> dict[str, Estimate]:
    """Estimate the mean of all items under the bare name, and of every part as `NAME.PART`."""
    found = {name: estimate_of(name, metric, column, seed=seed)}
    for part, chosen in facets.parts.items():
        found[f"{name}.{part}"] = estimate_of(f"{name}.{part}", metric, column.of(chosen), seed=seed)
    return found


def estimate_of(name: str, metric: Metric, column: Column, *, seed: int) -> Estimate:
    """Estimate a mean with its interval over clusters.

    Weighted by items it is a ratio of sums over clusters, so that the value is the published one and the interval
    still knows that the items of a cluster are alike (`ratio_interval`); weighted by clusters, a mean of cluster means
    (`t_interval`). The p-value flips the signs of what enters the mean: cluster sums, or cluster means.
    """
    sums, counts = column.sums()
    means = {cluster: total / counts[cluster] for cluster, total in sums.items()}
    totals, sizes = np.array(list(sums.values())), np.array(list(counts.values()), dtype=np.float64)
    averages = np.array(list(means.values()))
    by_items = column.weight == "items"
    n, clusters = int(sizes.sum()), len(sums)
    missing = len(column.values) - n
    value = math.nan
    interval = None
    p_value = effect = None
    if n:
        value = float(totals.sum() / sizes.sum()) if by_items else float(averages.mean())
        plain = ratio_interval(totals, sizes, LEVEL, seed=seed) if by_items else t_interval(averages, LEVEL)
        interval = _bounded(plain, value, averages, column.bounds)
        if column.null is not None:
            p_value = sign_flip(totals - column.null * sizes if by_items else averages - column.null, seed)
            effect = hedges_g_paired(averages - column.null)
    return Estimate(
        metric=name,
        value=value,
        interval=interval,
        unit=metric.unit,
        better=metric.better,
        n=n,
        clusters=clusters,
        missing=missing,
        p_value=p_value,
        effect_size=effect,
        problem=_problem(column, missing),
        cluster_values=means,
    )


def excess_over(name: str, metric: Metric, column: Column, controls: Column) -> Estimate:
    """Estimate how far the mean of one set of items lies above that of an independent one.

    Both means are weighted by items; their variances are those of ratios of sums over clusters (linearised), and the
    degrees of freedom are Welch's (1947).
    """
    mine, theirs = _moments(column), _moments(controls)
    value = mine.mean - theirs.mean
    missing = sum(int(np.isnan(each.values).sum()) for each in (column, controls))
    return Estimate(
        metric=name,
        value=value,
        interval=_welch(value, mine, theirs),
        unit=metric.unit,
        better=metric.better,
        n=mine.items + theirs.items,
        clusters=min(mine.clusters, theirs.clusters),
        missing=missing,
        problem=_problem(column, int(np.isnan(column.values).sum()))
        or _problem(controls, int(np.isnan(controls.values).sum())),
        details={"mean of the controls": theirs.mean},
    )


def with_p_of(estimates: Mapping[str, Estimate], share: str, excess: str) -> dict[str, Estimate]:
    """Return a share in percent and its facets with the p-values of its excess over 50, which knows what ties are."""
    found: dict[str, Estimate] = {}
    for name, estimate in estimates.items():
        bare, dot, part = name.partition(".")
        if bare == share:
            other = estimates[f"{excess}{dot}{part}"]
            found[name] = replace(estimate, p_value=other.p_value, effect_size=other.effect_size)
    return found


@dataclass(frozen=True, slots=True)
class _Moments:
    mean: float
    variance: float
    """Of the mean."""
    items: int
    clusters: int


def _moments(column: Column) -> _Moments:
    sums, counts = column.sums()
    totals, sizes = np.array(list(sums.values())), np.array(list(counts.values()), dtype=np.float64)
    clusters = len(sums)
    if not clusters:
        return _Moments(math.nan, math.nan, 0, 0)
    mean = float(totals.sum() / sizes.sum())
    residuals = (totals - mean * sizes) / sizes.mean()
    variance = float(residuals @ residuals) / (clusters * (clusters - 1)) if clusters > 1 else math.nan
    return _Moments(mean, variance, int(sizes.sum()), clusters)


def _welch(value: float, mine: _Moments, theirs: _Moments) -> Interval | None:
    variance = mine.variance + theirs.variance
    if not math.isfinite(variance):
        return None
    if variance == 0:
        return Interval(value, value, LEVEL, "Welch t on cluster sums")
    freedom = variance**2 / sum(each.variance**2 / (each.clusters - 1) for each in (mine, theirs))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(variance)
    return Interval(value - half, value + half, LEVEL, "Welch t on cluster sums")


def _bounded(
    interval: Interval | None, value: float, averages: Array, bounds: tuple[float, float] | None
) -> Interval | None:
    """Keep an interval of a share inside its bounds, and from having next to no width where clusters are alike.

    Where C clusters are all alike, at most 1 - ((1 - level)/2)^(1/C) of all there are can differ from them (Clopper and
    Pearson 1934), each by no more than what lies between the value and a bound. A cluster or two that do differ say
    less, not more: until there are 5, the interval is no narrower than that.
    """
    if interval is None or bounds is None:
        return interval
    low, high = bounds
    clipped = replace(interval, low=max(low, interval.low), high=min(high, interval.high))
    clusters = len(averages)
    differing = clusters - int(np.unique(averages, return_counts=True)[1].max())
    bound = clopper_pearson(0, clusters, interval.level)
    if differing >= _RARE or bound is None:
        return clipped
    floor = value - (value - low) * bound.high, value + (high - value) * bound.high
    method = f"{interval.method}, at least as for clusters all alike" if differing else "exact, clusters all alike"
    return replace(clipped, low=min(clipped.low, floor[0]), high=max(clipped.high, floor[1]), method=method)


def _problem(column: Column, missing: int) -> str | None:
    asked = len(column.values)
    if missing == asked:
        return "there are no answers" if asked else column.nothing
    if missing > MAX_MISSING * asked:
        return f"{missing} of {asked} items have no usable answer (at most {MAX_MISSING:.0%} may be missing)"
    return None
