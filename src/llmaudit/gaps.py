"""Differences between groups: from one number per sample to estimates, with the template as the unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from llmaudit.stats import (
    clopper_pearson,
    hedges_g_paired,
    permutation_null_worst_gap,
    sign_flip,
    simultaneous_t_intervals,
    t_interval,
    worst_absolute,
)
from llmaudit.types import Estimate, Interval

__all__ = ["LEVEL", "Cells", "Scored", "gap_estimates", "group_means"]

LEVEL = 0.90
#: Share of unusable answers above which a group's other answers cannot stand for it.
MAX_MISSING = 0.20
#: Difference in that share between two groups above which answers are not missing at random.
MAX_MISSING_GAP = 0.10


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


def gap_estimates(scored: Scored, cells: Cells, *, seed: int, details: Mapping[str, float]) -> dict[str, Estimate]:
    """Estimate the worst gap between group means (`NAME`) and every pairwise difference (`NAME.a-b`).

    Each difference is taken within clusters and averaged over the clusters that have both groups. The worst gap is
    judged on simultaneous intervals, and its p-value is that of its permutation null, since a maximum over pairs is
    above zero even where nothing differs. `details` is kept with every estimate.
    """
    means = cells.means(scored.values)
    pairs = list(combinations(range(len(cells.groups)), 2))
    facets = [_facet(scored, cells, pair, means, seed=seed, details=details) for pair in pairs]
    return {scored.name: _worst(scored, means, facets, seed=seed), **{facet.metric: facet for facet in facets}}


def group_means(scored: Scored, cells: Cells) -> list[tuple[str, float, float | None, float | None]]:
    """Mean of every group over its clusters, with its t interval: (group, mean, low, high)."""
    rows: list[tuple[str, float, float | None, float | None]] = []
    for group, column in zip(cells.groups, cells.means(scored.values).T, strict=True):
        kept = column[np.isfinite(column)]
        interval = t_interval(kept, LEVEL)
        value = float(kept.mean()) if kept.size else math.nan
        low, high = (interval.low, interval.high) if interval else (None, None)
        rows.append((group, value, low, high))
    return rows


def _facet(
    scored: Scored,
    cells: Cells,
    pair: tuple[int, int],
    means: NDArray[np.float64],
    *,
    seed: int,
    details: Mapping[str, float],
) -> Estimate:
    a, b = pair
    differences = means[:, a] - means[:, b]
    kept = differences[np.isfinite(differences)]
    finite, used = np.isfinite(scored.values), np.isin(cells.columns, pair)
    spread = {"sd between clusters": float(kept.std(ddof=1))} if kept.size > 1 else {}
    return Estimate(
        metric=f"{scored.name}.{cells.groups[a]}-{cells.groups[b]}",
        value=float(kept.mean()) if kept.size else math.nan,
        interval=_intervals(scored, [kept])[0],
        unit=scored.unit,
        better="zero",
        n=int((used & finite).sum()),
        clusters=int(kept.size),
        missing=int((used & ~finite).sum()),
        p_value=sign_flip(kept, seed) if kept.size else None,
        effect_size=hedges_g_paired(kept) if kept.size else None,
        problem=_too_much_missing(scored, cells),
        cluster_values=dict(zip(cells.clusters, differences.tolist(), strict=True)),
        details={**details, **spread},
    )


def _worst(scored: Scored, means: NDArray[np.float64], facets: Sequence[Estimate], *, seed: int) -> Estimate:
    columns = [np.array([v for v in facet.cluster_values.values() if math.isfinite(v)]) for facet in facets]
    worst = worst_absolute(_intervals(scored, columns), [facet.value for facet in facets])
    facet = facets[worst.facet]
    complete = means[np.isfinite(means).all(axis=1)]
    null = permutation_null_worst_gap(complete, seed) if complete.size else None
    details = {"null mean": null.null_mean, "null 95th percentile": null.null_95th} if null else {}
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
        p_value=null.p_value if null else None,
        details={**facet.details, **details},
    )


def _intervals(scored: Scored, columns: Sequence[NDArray[np.float64]]) -> list[Interval | None]:
    """Intervals of mean differences that hold together.

    Where no cluster shows any difference in a proportion, the t interval would have no width and claim to know that
    none ever will. Of C clusters without one, at most 1 - (alpha/K)^(1/C) of all clusters have one (Clopper and
    Pearson 1934), and a cluster differs by 1 at most: that bounds the mean.
    """
    found = simultaneous_t_intervals(columns, LEVEL)
    if scored.unit != "proportion":
        return found
    level = 1 - (1 - LEVEL) / len(columns)
    for number, column in enumerate(columns):
        if column.size and not column.any() and (bound := clopper_pearson(0, column.size, level)):
            found[number] = Interval(-bound.high, bound.high, LEVEL, "Clopper-Pearson on clusters without a difference")
    return found


def _too_much_missing(scored: Scored, cells: Cells) -> str | None:
    shares = dict(zip(cells.groups, cells.missing(scored.values).tolist(), strict=True))
    group = max(shares, key=lambda name: -1.0 if math.isnan(shares[name]) else shares[name])
    if math.isnan(shares[group]):
        return "there are no answers"
    if shares[group] > MAX_MISSING:
        return f"{shares[group]:.0%} of the answers for {group} could not be used (at most {MAX_MISSING:.0%})"
    least = min(shares, key=shares.__getitem__)
    if shares[group] - shares[least] > MAX_MISSING_GAP:
        return (
            f"answers are not missing at random: {shares[group]:.0%} could not be used for {group}, {shares[least]:.0%}"
            f" for {least}"
        )
    return None
