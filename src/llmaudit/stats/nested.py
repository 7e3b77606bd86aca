"""Where the spread of a number comes from when samples lie in subgroups of clusters: components of variance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["NestedComponents", "nested_components"]


@dataclass(frozen=True, slots=True)
class NestedComponents:
    """Components of variance, in squared units of the values. An estimate by moments may fall below 0 by chance."""

    between_clusters: float
    """Of the true cluster means, that of the subgroups included where no cluster has 2 of them; NaN for fewer than 2
    clusters."""
    between_subgroups: float
    """Of the true subgroup means inside a cluster; NaN where no cluster has 2 subgroups."""
    within: float
    """Of one sample inside its subgroup; NaN where no subgroup has 2 samples."""


def nested_components(values: ArrayLike, clusters: ArrayLike, subgroups: ArrayLike) -> NestedComponents:
    """Split the variance of samples by the method of moments on unweighted means (Searle, Casella, McCulloch 1992).

    All arrays have shape (samples,): finite values, and the labels of each one's cluster and of its subgroup there.
    Every component is unbiased whatever the numbers of samples. Without two samples in any subgroup the noise cannot be
    told from the rest, and all are NaN. Raises ValueError for lengths that differ or a value that is not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    outer, inner = np.asarray(clusters), np.asarray(subgroups)
    if not numbers.shape == outer.shape == inner.shape or not np.isfinite(numbers).all():
        raise ValueError("one finite value, one cluster and one subgroup are needed per sample")
    cells = [_cells(numbers[outer == cluster], inner[outer == cluster]) for cluster in np.unique(outer)]
    within = _mean([cell.var(ddof=1) for cluster in cells for cell in cluster if cell.size > 1])
    means = [np.array([cell.mean() for cell in cluster]) for cluster in cells]
    noise = [within * _mean([1 / cell.size for cell in cluster]) for cluster in cells]
    subgroup = _mean([own.var(ddof=1) - lost for own, lost in zip(means, noise, strict=True) if own.size > 1])
    if len(means) < 2:
        return NestedComponents(math.nan, subgroup, within)
    known = 0.0 if math.isnan(subgroup) else subgroup
    sampled = _mean([(known + lost) / own.size for own, lost in zip(means, noise, strict=True)])
    between = float(np.var([own.mean() for own in means], ddof=1)) - sampled
    return NestedComponents(between, subgroup, within)


def _cells(values: NDArray[np.float64], subgroups: NDArray[np.generic]) -> list[NDArray[np.float64]]:
    return [values[subgroups == subgroup] for subgroup in np.unique(subgroups)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
