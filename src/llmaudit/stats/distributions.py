"""How far apart whole distributions of scores are, beyond what chance alone gives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["DistributionGap", "wasserstein_excess"]

_Array = NDArray[np.float64]

#: Numbers held at a time: bounds the memory of the permutations to some 16 MB an array.
_BATCH_ELEMENTS = 2_000_000
#: Relative size of a difference that is rounding of the arithmetic and not variation of the data.
_ROUNDING = 1e-12


class DistributionGap(NamedTuple):
    """Distances between the distributions of groups, cluster by cluster, all in the unit of the scores."""

    observed: _Array
    """Shape (C,): mean over pairs of groups of the 1-Wasserstein distance; NaN for a cluster that cannot be used."""
    null: _Array
    """Shape (C,): the mean of the same when the labels are permuted."""
    p_value: float | None
    """Share of permutations whose mean over clusters is at least the observed one, with the +1 correction; None where
    no cluster can be used."""

    @property
    def excess(self) -> _Array:
        """Observed minus null, shape (C,): about 0 on average where no group differs from another."""
        return self.observed - self.null


def wasserstein_excess(scores: ArrayLike, seed: int, resamples: int = 999) -> DistributionGap:
    """Compare the groups' distributions of scores within clusters, against permuted labels.

    `scores` has shape (C clusters, G groups, n samples), NaN where one is missing; the samples of one index drew the
    same random numbers in every group. The distance of two finite samples is above 0 even where nothing differs
    (individual fairness of Huang et al. 2020 has this floor), so its mean under permutation is taken off. Labels are
    permuted among the G scores of one index: they are exchangeable where groups are treated alike, whether or not the
    common random numbers make such scores alike; permuting them over all n G scores would take the spread between
    indices for noise between groups and hide a difference. A cluster needs 2 indices without a missing score. Raises
    ValueError unless there are three dimensions and 2 groups or more.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 3 or table.shape[1] < 2:
        raise ValueError(f"clusters by 2 groups or more by samples are needed, not an array of shape {table.shape}")
    matched = [cluster[:, np.isfinite(cluster).all(axis=0)].T for cluster in table]
    observed, null = np.full(len(table), np.nan), np.full(len(table), np.nan)
    usable = [number for number, rows in enumerate(matched) if len(rows) > 1]
    totals = np.zeros(resamples)
    rng = np.random.default_rng(seed)
    for size in sorted({len(matched[number]) for number in usable}):
        own = [number for number in usable if len(matched[number]) == size]
        stacked = np.stack([matched[number] for number in own])
        observed[own] = _distance(stacked)
        sums, null[own] = _permuted(stacked, rng, resamples)
        totals += sums
    if not usable:
        return DistributionGap(observed, null, None)
    # Shuffling reorders sums: a tie may come out a rounding error below the observed value.
    reached = np.count_nonzero(totals >= observed[usable].sum() * (1 - _ROUNDING))
    return DistributionGap(observed, null, (reached + 1) / (resamples + 1))


def _permuted(stacked: _Array, rng: np.random.Generator, resamples: int) -> tuple[_Array, _Array]:
    """Return the sum over clusters per permutation, shape (resamples,), and the mean per cluster, shape (C,)."""
    varied = np.flatnonzero(np.ptp(stacked, axis=-1).any(axis=-1))
    # Where every index has one score for all groups there is nothing to permute, and no distance.
    sums, means = np.zeros(resamples), np.zeros(len(stacked))
    if varied.size:
        table = stacked[varied]
        batch = max(1, _BATCH_ELEMENTS // table.size)
        for start in range(0, resamples, batch):
            size = min(batch, resamples - start)
            drawn = _distance(rng.permuted(np.broadcast_to(table, (size, *table.shape)), axis=-1))
            sums[start : start + size] = drawn.sum(axis=-1)
            means[varied] += drawn.sum(axis=0) / resamples
    return sums, means


def _distance(scores: _Array) -> _Array:
    """Mean over pairs of groups of the 1-Wasserstein distance; shape (..., n samples, G groups) -> (...).

    With as many samples on both sides the distance is the mean difference of the sorted samples (Vallender 1974), and
    the sum of |x_a - x_b| over pairs follows from the sorted groups.
    """
    groups = scores.shape[-1]
    ordered = np.sort(scores, axis=-2)
    if groups == 2:
        return np.asarray(np.abs(ordered[..., 0] - ordered[..., 1]).mean(axis=-1))
    weights = np.arange(1.0 - groups, groups, 2.0)
    pairs = groups * (groups - 1) / 2
    return np.asarray((np.sort(ordered, axis=-1) @ weights).mean(axis=-1) / pairs)
