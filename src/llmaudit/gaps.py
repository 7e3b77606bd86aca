"""Differences between groups: from one number per sample to estimates, with the template as the unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from llmaudit.stats import (
    Informedness,
    clopper_pearson,
    hedges_g_paired,
    permutation_null_worst_gap,
    sign_flip,
    simultaneous_t_intervals,
    t_interval,
    widened,
    worst_absolute,
)
from llmaudit.types import Estimate, Interval

__all__ = [
    "LEVEL",
    "USELESS",
    "Cells",
    "Contrast",
    "Scored",
    "contrast_estimates",
    "gap_estimates",
    "group_means",
    "level_interval",
    "proportion_interval",
    "too_much_missing",
]

LEVEL = 0.90
#: Share of unusable answers above which a group's other answers cannot stand for it.
MAX_MISSING = 0.20
#: Difference in that share between two groups above which answers are not missing at random.
MAX_MISSING_GAP = 0.10
#: Why nothing can be said with a scorer whose sensitivity + specificity - 1 is not above 0.
USELESS = "the scorer is no better than chance on texts that people have labelled"


@dataclass(frozen=True, slots=True)
class Cells:
    """Which cluster and group every sample belongs to."""

    clusters: tuple[str, ...]
    """Distinct clusters, in the order of their first sample."""
    groups: tuple[str, ...]
    rows: NDArray[np.int64]
    """Shape (samples,): index of each sample's cluster."""
    columns: NDArray[np.int64]
    """Shape (samples,): index of each sample's group."""

    @classmethod
    def of(cls, clusters: Sequence[str], groups: Sequence[str], order: Sequence[str]) -> Cells:
        """Index one cluster and one group per sample; `order` names the groups."""
        distinct = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
        place = {group: number for number, group in enumerate(order)}
        rows = np.array([distinct[cluster] for cluster in clusters], dtype=np.int64)
        columns = np.array([place[group] for group in groups], dtype=np.int64)
        return cls(tuple(distinct), tuple(order), rows, columns)

    def counts(self, usable: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Number of usable samples per cluster and group, shape (clusters, groups)."""
        table = np.zeros((len(self.clusters), len(self.groups)), dtype=np.int64)
        np.add.at(table, (self.rows[usable], self.columns[usable]), 1)
        return table

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of the finite values per cluster and group, shape (clusters, groups); NaN for a cell without any."""
        usable = np.isfinite(values)
        sums = np.zeros((len(self.clusters), len(self.groups)))
        np.add.at(sums, (self.rows[usable], self.columns[usable]), values[usable])
        counts = self.counts(usable)
        means = np.full_like(sums, np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means

    def missing(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of non-finite values per group, shape (groups,); NaN for a group without samples."""
        total = self.counts(np.ones(len(values), dtype=np.bool_)).sum(axis=0)
        lost = self.counts(~np.isfinite(values)).sum(axis=0)
        shares = np.full(len(total), np.nan)
        np.divide(lost, total, out=shares, where=total > 0)
        return shares


@dataclass(frozen=True, slots=True)
class Scored:
    """One number per sample, with its unit."""

    name: str
    """What the differences are called: `sentiment_gap`."""
    unit: str
    values: NDArray[np.float64]
    """Shape (samples,); NaN where a sample has no number."""
    informedness: Informedness | None = None
    """Of a yes-or-no scorer, by which its intervals are widened; None for unknown."""
    min_answers: int = 0
    """Numbers that a group needs over all clusters to be compared."""

    def means(self, cells: Cells) -> NDArray[np.float64]:
        """Mean per cluster and group, shape (clusters, groups); NaN throughout for a group that has too few numbers."""
        means = cells.means(self.values)
        means[:, self.usable(cells) < self.min_answers] = np.nan
        return means

    def usable(self, cells: Cells) -> NDArray[np.int64]:
        """Number of numbers per group, shape (groups,)."""
        return np.asarray(cells.counts(np.isfinite(self.values)).sum(axis=0))

    def problem(self, cells: Cells, groups: Sequence[int]) -> str | None:
        """Say why these groups cannot be compared, or None where they can."""
        usable = self.usable(cells)
        few = next((number for number in groups if usable[number] < self.min_answers), None)
        if few is not None:
            return f"the cell {cells.groups[few]} has {usable[few]} usable answers, fewer than {self.min_answers}"
        if self.informedness is not None and self.informedness.useless:
            return USELESS
        return too_much_missing(self.values, cells, groups)


@dataclass(frozen=True, slots=True)
class Contrast:
    """A difference between means of groups: weights that add up to 0."""

    name: str
    """The facet: `women-men`."""
    groups: tuple[int, ...]
    """Indices of the groups that take part."""
    weights: tuple[float, ...]
    """One for each of them."""

    @property
    def reach(self) -> float:
        """How far the contrast can be from 0, in units of the range of the means: 1 for a difference."""
        return sum(map(abs, self.weights)) / 2

    def of(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the contrast in every cluster, shape (clusters,), of means of shape (clusters, groups)."""
        first, *others = zip(self.groups, self.weights, strict=True)
        total = first[1] * means[:, first[0]]
        for group, weight in others:
            total = total + weight * means[:, group]
        return total


def gap_estimates(scored: Scored, cells: Cells, *, seed: int, details: Mapping[str, float]) -> dict[str, Estimate]:
    """Estimate the worst gap between group means (`NAME`) and every pairwise difference (`NAME.a-b`).

    Each difference is taken within clusters and averaged over the clusters that have both groups. The worst gap is
    judged on simultaneous intervals, and its p-value is that of its permutation null, since a maximum over pairs is
    above zero even where nothing differs. `details` is kept with every estimate.
    """
    means = scored.means(cells)
    pairs = [
        Contrast(f"{cells.groups[a]}-{cells.groups[b]}", (a, b), (1.0, -1.0))
        for a, b in combinations(range(len(cells.groups)), 2)
    ]
    facets = [_facet(scored, cells, pair, means, seed=seed, details=details) for pair in pairs]
    complete = means[np.isfinite(means).all(axis=1)]
    null = permutation_null_worst_gap(complete, seed) if complete.size else None
    null_details = {"null mean": null.null_mean, "null 95th percentile": null.null_95th} if null else {}
    worst = _worst(scored, facets, pairs)
    bare = replace(worst, p_value=null.p_value if null else None, details={**worst.details, **null_details})
    return {scored.name: bare, **{facet.metric: facet for facet in facets}}


def contrast_estimates(
    scored: Scored, cells: Cells, contrasts: Sequence[Contrast], *, seed: int, details: Mapping[str, float]
) -> dict[str, Estimate]:
    """Estimate contrasts between groups (`NAME.facet`) and the largest in size of them (`NAME`).

    The largest is judged on simultaneous intervals; its p-value is the smallest sign-flip p of a facet, times their
    number (Bonferroni). Clusters in which a group of the contrast has no number are left out of it. Raises ValueError
    where there is no contrast.
    """
    means = scored.means(cells)
    facets = [_facet(scored, cells, contrast, means, seed=seed, details=details) for contrast in contrasts]
    known = [facet.p_value for facet in facets if facet.p_value is not None]
    worst = replace(_worst(scored, facets, contrasts), p_value=min(1.0, len(facets) * min(known)) if known else None)
    return {scored.name: worst, **{facet.metric: facet for facet in facets}}


def group_means(scored: Scored, cells: Cells) -> list[tuple[str, float, float | None, float | None]]:
    """Mean of every group over its clusters, with its `level_interval`: (group, mean, low, high)."""
    rows: list[tuple[str, float, float | None, float | None]] = []
    for group, column in zip(cells.groups, cells.means(scored.values).T, strict=True):
        kept = column[np.isfinite(column)]
        interval = level_interval(scored.unit, kept, LEVEL)
        value = float(kept.mean()) if kept.size else math.nan
        low, high = (interval.low, interval.high) if interval else (None, None)
        rows.append((group, value, low, high))
    return rows


def _facet(
    scored: Scored,
    cells: Cells,
    contrast: Contrast,
    means: NDArray[np.float64],
    *,
    seed: int,
    details: Mapping[str, float],
) -> Estimate:
    differences = contrast.of(means)
    kept = differences[np.isfinite(differences)]
    finite, used = np.isfinite(scored.values), np.isin(cells.columns, contrast.groups)
    spread = {"sd between clusters": float(kept.std(ddof=1))} if kept.size > 1 else {}
    return Estimate(
        metric=f"{scored.name}.{contrast.name}",
        value=float(kept.mean()) if kept.size else math.nan,
        interval=_intervals(scored, [kept], [contrast])[0],
        unit=scored.unit,
        better="zero",
        n=int((used & finite).sum()),
        clusters=int(kept.size),
        missing=int((used & ~finite).sum()),
        p_value=sign_flip(kept, seed) if kept.size else None,
        effect_size=hedges_g_paired(kept) if kept.size else None,
        problem=scored.problem(cells, contrast.groups),
        cluster_values=dict(zip(cells.clusters, differences.tolist(), strict=True)),
        details={**details, **spread},
    )


def _worst(scored: Scored, facets: Sequence[Estimate], contrasts: Sequence[Contrast]) -> Estimate:
    columns = [np.array([v for v in facet.cluster_values.values() if math.isfinite(v)]) for facet in facets]
    worst = worst_absolute(_intervals(scored, columns, contrasts), [facet.value for facet in facets])
    facet = facets[worst.facet]
    missing = int((~np.isfinite(scored.values)).sum())
    return replace(
        facet,
        metric=scored.name,
        value=worst.value,
        interval=worst.interval,
        better="lower",
        n=len(scored.values) - missing,
        clusters=min(facet.clusters for facet in facets),
        missing=missing,
        # A facet that cannot be judged may be the worst one.
        problem=next((other.problem for other in facets if other.problem), None),
    )


def proportion_interval(column: NDArray[np.float64], level: float) -> Interval | None:
    """Return an interval of the mean over clusters of a proportion, or of a difference of two.

    Rare events leave most clusters, or all, without any: the t interval is then too narrow, and where no cluster has
    one it has no width at all. Two pseudo-clusters that differ by h, one each way, are added (in the spirit of Agresti
    and Caffo 2000, The American Statistician 54), with h such that C clusters without any event give the exact bound
    1 - ((1 - level)/2)^(1/C) on the share of clusters with one (Clopper and Pearson 1934). Every event widens it.
    """
    size = int(column.size)
    bound = clopper_pearson(0, size, level) if size > 1 else None
    if bound is None:
        return None
    quantile = float(stats.t.ppf((1 + level) / 2, size + 1))
    h = bound.high / (quantile * math.sqrt(2 / ((size + 1) * (size + 2))))
    found = t_interval(np.append(column, [h, -h]), level)
    return found and replace(found, method="t on cluster means with two pseudo-clusters")


def level_interval(unit: str, column: NDArray[np.float64], level: float) -> Interval | None:
    """Return an interval of the mean over clusters of a level: of a proportion inside [0, 1], else a t interval."""
    if unit != "proportion":
        return t_interval(column, level)
    # The pseudo-clusters stand about 0: of a share near 1 the interval is that of what is left, mirrored.
    mirrored = column.size > 0 and float(column.mean()) > 0.5
    found = proportion_interval(1 - column if mirrored else column, level)
    if found is None:
        return None
    low, high = (1 - found.high, 1 - found.low) if mirrored else (found.low, found.high)
    return replace(found, low=max(0.0, low), high=min(1.0, high))


def too_much_missing(values: NDArray[np.float64], cells: Cells, groups: Sequence[int]) -> str | None:
    """Say why the answers of these groups cannot be compared: too many have no number, or more of one than of another.

    `values` has shape (samples,), NaN where there is no number. None where nothing is wrong.
    """
    missing = cells.missing(values)
    shares = {cells.groups[number]: float(missing[number]) for number in groups}
    if any(map(math.isnan, shares.values())):
        return "there are no answers"
    most, least = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
    if shares[most] > MAX_MISSING:
        return f"{shares[most]:.0%} of the answers for {most} could not be used (at most {MAX_MISSING:.0%})"
    if shares[most] - shares[least] > MAX_MISSING_GAP:
        return (
            f"answers are not missing at random: {shares[most]:.0%} could not be used for {most}, {shares[least]:.0%}"
            f" for {least}"
        )
    return None


def _intervals(
    scored: Scored, columns: Sequence[NDArray[np.float64]], contrasts: Sequence[Contrast]
) -> list[Interval | None]:
    """Intervals of mean contrasts that hold together."""
    if scored.unit != "proportion":
        return simultaneous_t_intervals(columns, LEVEL)
    level = 1 - (1 - LEVEL) / len(columns)
    return [
        _of_proportions(column, contrast.reach, level, scored.informedness)
        for column, contrast in zip(columns, contrasts, strict=True)
    ]


def _of_proportions(
    column: NDArray[np.float64], reach: float, level: float, informedness: Informedness | None
) -> Interval | None:
    found = proportion_interval(column / reach, level)
    if found is None:
        return None
    found = replace(found, level=LEVEL)
    if informedness is not None and not informedness.useless:
        found = widened(found, informedness)
    return replace(found, low=found.low * reach, high=found.high * reach)
