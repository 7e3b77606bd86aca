"""What a dose does, per block: rank correlation, slope, and the share of one effect in another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from llmaudit.types import Interval

__all__ = ["kendall_taus", "signed_ratio_interval", "slopes"]

_MIN_CLUSTERS = 2


def kendall_taus(doses: ArrayLike, responses: ArrayLike) -> NDArray[np.float64]:
    """Return Kendall's tau-b (1945, Biometrika 33) between doses and responses, one per block.

    `doses` has shape (D,) without ties, `responses` (B, D); the result has shape (B,) and lies in [-1, 1]. A block
    whose responses are all alike shows no trend: 0, where the formula is 0/0. A block with a non-finite response has
    NaN. Raises ValueError for fewer than 2 doses, tied doses, or shapes that do not fit.
    """
    x, y = _checked(doses, responses)
    first, second = np.triu_indices(x.size, 1)
    rises = np.sign(x[second] - x[first])
    if not rises.all():
        raise ValueError("doses must be distinct")
    signs = np.sign(y[:, second] - y[:, first])
    untied = np.abs(signs).sum(axis=1)
    taus = np.zeros(len(y))
    np.divide(signs @ rises, np.sqrt(rises.size * untied), out=taus, where=untied != 0)
    return taus


def slopes(doses: ArrayLike, responses: ArrayLike) -> NDArray[np.float64]:
    """Return the least-squares slope of the responses over the doses, one per block, in response units per dose unit.

    Shapes and errors are those of `kendall_taus`.
    """
    x, y = _checked(doses, responses)
    centred = x - x.mean()
    if not centred.any():
        raise ValueError("doses must be distinct")
    return np.asarray(y @ (centred / (centred @ centred)))


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


def _checked(doses: ArrayLike, responses: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(doses, dtype=np.float64), np.asarray(responses, dtype=np.float64)
    if x.ndim != 1 or y.ndim != 2 or y.shape[1] != x.size or x.size < 2:
        raise ValueError(f"blocks by doses are needed, not doses {x.shape} and responses {y.shape}")
    return x, y
