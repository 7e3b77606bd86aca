"""Quantiles of a pooled sample, with the cluster as the unit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmaudit.stats.intervals import MIN_BOOTSTRAP_CLUSTERS
from llmaudit.types import Interval

__all__ = ["cluster_quantile_intervals", "pooled_quantile", "quantile_needs"]

_RESAMPLES = 4999
#: Numbers drawn at a time: bounds the memory of the bootstrap to some 32 MB.
_BATCH_ELEMENTS = 4_000_000


def pooled_quantile(values: ArrayLike, quantile: float) -> float:
    """Return the smallest value that at least a share `quantile` of all do not exceed; NaN of none."""
    array = np.asarray(values, dtype=np.float64)
    return float(np.quantile(array, quantile, method="inverted_cdf")) if array.size else math.nan


def quantile_needs(quantile: float) -> int:
    """Return how many values it takes for the largest of them to bound a quantile from above with 95 % confidence.

    The distribution-free rule quantile^n <= 0.05 (Wilks 1941), for independent values; fewer say nothing of the tail.
    """
    return math.ceil(math.log(0.05) / math.log(quantile))


def cluster_quantile_intervals(
    values: ArrayLike,
    clusters: ArrayLike,
    quantiles: Sequence[float],
    levels: Sequence[float] = (0.90,),
    *,
    seed: int = 0,
) -> list[list[Interval | None]]:
    """Return percentile bootstrap intervals of pooled quantiles: per quantile, one interval per level.

    values, clusters: shape (n,), a number and the index of its cluster. Whole clusters are drawn again, 4,999 times
    (Davison and Hinkley 1997, section 3.8). None below MIN_BOOTSTRAP_CLUSTERS clusters, for non-finite values, and for
    a quantile of fewer than `quantile_needs` values. Raises ValueError for unequal lengths and quantiles or levels
    outside (0, 1).
    """
    array, index = np.asarray(values, dtype=np.float64), np.asarray(clusters, dtype=np.int64)
    if array.ndim != 1 or array.shape != index.shape:
        raise ValueError(f"one cluster per value is needed, not {index.shape} for {array.shape}")
    if not all(0 < share < 1 for share in (*quantiles, *levels)):
        raise ValueError("quantiles and levels lie between 0 and 1")
    _, index = np.unique(index, return_inverse=True)
    count = int(index.max()) + 1 if index.size else 0
    if count < MIN_BOOTSTRAP_CLUSTERS or not np.isfinite(array).all():
        return [[None] * len(levels) for _ in quantiles]
    drawn = _resampled(array, index, count, quantiles, seed)
    return [
        [_interval(column, level) if array.size >= quantile_needs(quantile) else None for level in levels]
        for quantile, column in zip(quantiles, drawn.T, strict=True)
    ]


def _resampled(
    values: NDArray[np.float64], index: NDArray[np.int64], count: int, quantiles: Sequence[float], seed: int
) -> NDArray[np.float64]:
    """Quantiles of samples in which every cluster stands as often as it was drawn, shape (resamples, quantiles)."""
    order = np.argsort(values, kind="stable")
    ordered, owner = values[order], index[order]
    rng = np.random.default_rng(seed)
    batch = max(1, _BATCH_ELEMENTS // values.size)
    found = []
    for start in range(0, _RESAMPLES, batch):
        draws = rng.multinomial(count, np.full(count, 1 / count), size=min(batch, _RESAMPLES - start))
        reached = draws.astype(np.int32)[:, owner].cumsum(axis=1, dtype=np.int32)
        wanted = np.ceil(np.outer(reached[:, -1], quantiles)).clip(1)
        places = [(reached >= column[:, None]).argmax(axis=1) for column in wanted.T]
        found.append(ordered[np.stack(places, axis=1)])
    return np.concatenate(found)


def _interval(drawn: NDArray[np.float64], level: float) -> Interval:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, "percentile cluster bootstrap")
