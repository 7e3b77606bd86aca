"""Intervals of smooth statistics of cluster totals, from what they are without each cluster."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from llmaudit.types import Interval

__all__ = ["jackknife_interval", "simultaneous_jackknife_intervals"]


def jackknife_interval(value: float, without: ArrayLike, level: float = 0.90) -> Interval | None:
    """Return value -+ t s, with s^2 = (C - 1)/C sum (without_c - their mean)^2 and C - 1 degrees of freedom.

    `value` is the statistic of all clusters and `without`, shape (C,), what it is without each (Tukey 1958; its
    variance tends to be too large rather than too small: Efron and Stein 1981). For statistics that are smooth in the
    clusters' totals, such as a ratio of ratios or an entropy; not for quantiles. Values without variation give an
    interval of no width; fewer than 2 clusters and non-finite numbers give None. Raises ValueError unless
    0 < level < 1.
    """
    found = _bounds(value, np.asarray(without, dtype=np.float64), _coverage(level))
    return found and Interval(*found, level, "jackknife over clusters")


def simultaneous_jackknife_intervals(
    values: Sequence[float], without: Sequence[ArrayLike], level: float = 0.90
) -> list[Interval | None]:
    """Return one interval per statistic, such that all K of them hold together with at least `level` (Bonferroni).

    Shapes, outcomes and errors are those of `jackknife_interval`.
    """
    coverage, method = (
        1 - (1 - _coverage(level)) / max(len(values), 1),
        f"simultaneous jackknife (Bonferroni over {len(values)})",
    )
    pairs = zip(values, without, strict=True)
    found = [_bounds(value, np.asarray(each, dtype=np.float64), coverage) for value, each in pairs]
    return [bounds and Interval(*bounds, level, method) for bounds in found]


def _coverage(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    return level


def _bounds(
    value: float, without: np.ndarray[tuple[int, ...], np.dtype[np.float64]], coverage: float
) -> tuple[float, float] | None:
    size = without.size
    if size < 2 or not math.isfinite(value) or not np.isfinite(without).all():
        return None
    spread = math.sqrt((size - 1) * float(without.var()))
    half = float(stats.t.ppf((1 + coverage) / 2, size - 1)) * spread
    return value - half, value + half
