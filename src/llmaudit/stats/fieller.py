"""The ratio of two effects, either of which may be of either sign."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from llmaudit.types import Interval

__all__ = ["signed_ratio_interval"]

_MIN_CLUSTERS = 2


def signed_ratio_interval(numerator: ArrayLike, denominator: ArrayLike, level: float = 0.90) -> Interval | None:
    """Return Fieller's (1954, JRSS B 16: 175-185) interval of mean(numerator)/mean(denominator), of either sign.

    Both have shape (C,): the same clusters. It is for effects, whose clusters may differ in sign; for counts and sizes
    there is `ratio_interval`. None for fewer than 2 clusters or a non-finite value, and where the mean denominator is
    not distinguishable from 0 at this level, since the set of ratios then has no bounds. Raises ValueError for unequal
    lengths and unless 0 < level < 1.
    """
    over, under = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    if over.shape != under.shape or over.ndim != 1:
        raise ValueError(f"one numerator and one denominator per cluster, not {over.shape} and {under.shape}")
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    if over.size < _MIN_CLUSTERS or not (np.isfinite(over).all() and np.isfinite(under).all()) or not under.mean():
        return None
    ratio, mean = over.mean() / under.mean(), under.mean()
    # In s = r - ratio, with residuals e = over - ratio * under, the set is a quadratic without cancellation:
    # s^2 (mean^2 - q v_uu) + 2 s q v_eu - q v_ee <= 0.
    covariance = np.cov(over - ratio * under, under) / over.size
    quantile = stats.t.ppf((1 + level) / 2, over.size - 1) ** 2
    square, linear = mean**2 - quantile * covariance[1, 1], quantile * covariance[0, 1]
    if not square > 0:
        return None
    root = math.sqrt(linear**2 + square * quantile * covariance[0, 0])
    low, high = ratio - (linear + root) / square, ratio + (root - linear) / square
    return Interval(float(low), float(high), level, "Fieller on cluster means")
