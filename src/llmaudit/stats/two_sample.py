"""Differences between the means of independent samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from llmaudit.types import Interval

__all__ = ["simultaneous_welch_intervals", "welch_interval"]


def welch_interval(first: ArrayLike, second: ArrayLike, level: float = 0.90) -> Interval | None:
    """Return the interval of mean(first) - mean(second) without assuming equal variances (Welch 1947).

    Both have one value per cluster, shapes (m,) and (n,), any unit, and share no cluster. Two samples without any
    variation give an interval of no width. None for fewer than 2 clusters on a side and for non-finite values. Raises
    ValueError unless 0 < level < 1.
    """
    (found,) = _welch([(first, second)], level, 1, "Welch t on clusters")
    return found


def simultaneous_welch_intervals(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]], level: float = 0.90
) -> list[Interval | None]:
    """Return one interval per pair of samples, such that all K of them hold together with at least `level`.

    Bonferroni. Shapes, outcomes and errors are those of `welch_interval`.
    """
    return _welch(pairs, level, len(pairs), f"simultaneous Welch t (Bonferroni over {len(pairs)})")


def _welch(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]], level: float, tests: int, method: str
) -> list[Interval | None]:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    coverage = 1 - (1 - level) / max(tests, 1)
    found: list[Interval | None] = []
    for pair in pairs:
        first, second = (np.asarray(side, dtype=np.float64) for side in pair)
        if min(first.size, second.size) < 2 or not (np.isfinite(first).all() and np.isfinite(second).all()):
            found.append(None)
        elif np.ptp(first) == 0 and np.ptp(second) == 0:
            difference = float(first[0] - second[0])
            found.append(Interval(difference, difference, level, method))
        else:
            bounds = stats.ttest_ind(first, second, equal_var=False).confidence_interval(coverage)
            found.append(Interval(float(bounds.low), float(bounds.high), level, method))
    return found
