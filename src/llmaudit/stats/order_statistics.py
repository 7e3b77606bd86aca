"""Quantiles of repetitions inside clusters: exact order statistics at the number of values that is left."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from llmaudit.types import Interval

__all__ = ["clustered_quantile_interval", "independent_values"]

_Vector = NDArray[np.float64]


def independent_values(values: ArrayLike, clusters: ArrayLike, quantile: float) -> int:
    """Return how many independent values would tell as much of a quantile as these do; 0 for fewer than 2 clusters.

    values, clusters: shape (n,), a number and the index of its cluster. The number of values is divided by the design
    effect (Kish 1965) of the share that lies at or below the quantile, or the median if that is larger, and corrected
    for the clusters that the effect itself is estimated from (Korn and Graubard 1998, Survey Methodology 24: 193-201).
    Values that are the same within a cluster are worth less than one a cluster. Raises
    ValueError for unequal lengths and for a quantile outside (0, 1).
    """
    array, index = _checked(values, clusters, quantile)
    _, index = np.unique(index, return_inverse=True)
    count, size = (int(index.max()) + 1 if index.size else 0), array.size
    if count < 2:
        return 0
    # The few values beyond a far quantile say little of how alike the clusters are: the median's tell more.
    effect = max(_design_effect(array, index, share) for share in (0.5, quantile))
    if effect == 1.0:
        return size
    many, few = (float(stats.t.ppf(0.95, number - 1)) for number in (size, count))
    return max(1, min(size, math.floor(size / effect * (many / few) ** 2)))


def clustered_quantile_interval(
    values: ArrayLike, clusters: ArrayLike, quantile: float, level: float = 0.90
) -> Interval | None:
    """Return the order statistics between which a quantile lies, with at least `level` on any distribution.

    Of independent values this is the exact interval of the quantile test (Conover 1999, section 3.2, as in
    scipy.stats.quantile_test). Where values of a cluster resemble each other it is that of `independent_values`, with
    its ranks spread over all values (Woodruff 1952). None where either bound lies beyond the values: a 95 % bound above
    p95 needs 59 independent ones, above p99 299. Shapes and errors are those of `independent_values`, and a ValueError
    unless 0 < level < 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    array, _ = _checked(values, clusters, quantile)
    worth = independent_values(values, clusters, quantile)
    if not worth or not np.isfinite(array).all():
        return None
    found: Any = stats.quantile_test(np.arange(1, worth + 1), p=quantile).confidence_interval(level)
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return None
    ordered, stretch = np.sort(array), (array.size + 1) / (worth + 1)
    low, high = math.floor(found.low * stretch), math.ceil(found.high * stretch)
    bounds = float(ordered[max(low, 1) - 1]), float(ordered[min(high, array.size) - 1])
    return Interval(*bounds, level, "order statistics at the effective sample size")


def _design_effect(values: _Vector, index: NDArray[np.int64], quantile: float) -> float:
    """By how much clusters inflate the variance of the share of values below a quantile; at least 1."""
    edge = np.quantile(values, quantile, method="inverted_cdf")
    shares = [below for below in (values <= edge, values < edge) if 0 < below.mean() < 1]
    if not shares:  # all values are the same
        return 1.0
    below = shares[0]
    share, size, count = float(below.mean()), values.size, int(index.max()) + 1
    sums = np.bincount(index, weights=below - share, minlength=count)
    variance = float((sums**2).sum()) * count / (count - 1) / size**2
    return max(1.0, variance / (share * (1 - share) / size))


def _checked(values: ArrayLike, clusters: ArrayLike, quantile: float) -> tuple[_Vector, NDArray[np.int64]]:
    array, index = np.asarray(values, dtype=np.float64), np.asarray(clusters, dtype=np.int64)
    if array.ndim != 1 or array.shape != index.shape:
        raise ValueError(f"one cluster per value is needed, not {index.shape} for {array.shape}")
    if not 0 < quantile < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not at {quantile}")
    return array, index
