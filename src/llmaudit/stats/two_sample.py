"""Differences between the means of independent samples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from llmaudit.types import Interval

__all__ = ["welch_interval"]


def welch_interval(first: ArrayLike, second: ArrayLike, level: float = 0.90) -> Interval | None:
    """Return the interval of mean(first) - mean(second) without assuming equal variances (Welch 1947).

    Both have one value per cluster, shapes (m,) and (n,), any unit, and share no cluster. Two samples without any
    variation give an interval of no width. None for fewer than 2 clusters on a side and for non-finite values. Raises
    ValueError unless 0 < level < 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    samples = [np.asarray(side, dtype=np.float64) for side in (first, second)]
    if any(each.size < 2 or not np.isfinite(each).all() for each in samples):
        return None
    difference = float(samples[0].mean() - samples[1].mean())
    errors = [float(each.var(ddof=1)) / each.size for each in samples]
    half = 0.0
    if sum(errors) > 0:
        # Satterthwaite's degrees of freedom.
        parts = (error**2 / (each.size - 1) for error, each in zip(errors, samples, strict=True))
        half = float(stats.t.ppf((1 + level) / 2, sum(errors) ** 2 / sum(parts))) * math.sqrt(sum(errors))
    return Interval(difference - half, difference + half, level, "Welch t on clusters")
