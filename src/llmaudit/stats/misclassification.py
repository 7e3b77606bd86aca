"""What a scorer's errors do to a difference of two proportions: Rogan and Gladen (1978)."""

from __future__ import annotations

from dataclasses import replace

from llmaudit.stats.intervals import wilson
from llmaudit.types import Interval

__all__ = ["informedness", "widened"]


def informedness(sensitivity: tuple[int, int], specificity: tuple[int, int], level: float = 0.90) -> float | None:
    """Return sensitivity + specificity - 1 (Youden 1950) at the lower Wilson bounds of the two.

    Both are given as (right, of how many), counted on labelled texts; `level` is that of each two-sided Wilson
    interval. In [-1, 1]; 0 or less is a scorer that cannot be told from chance. None where nothing was counted. Raises
    ValueError for more right than there are, or a level outside (0, 1).
    """
    bounds = [wilson(right, count, level) for right, count in (sensitivity, specificity)]
    lows = [bound.low for bound in bounds if bound is not None]
    return sum(lows) - 1 if len(lows) == len(bounds) else None


def widened(interval: Interval, informed: float) -> Interval:
    """Return the hull of the interval of an observed difference of proportions and of the corrected one.

    A yes-or-no scorer with the same sensitivity and specificity in both groups shrinks their true difference by
    `informed` = sensitivity + specificity - 1 (Rogan and Gladen 1978, American Journal of Epidemiology 107: 71-76), so
    that the true one is the observed one divided by it. The correction stays inside [-1, 1], where differences of
    proportions are. Raises ValueError unless `informed` lies in (0, 1].
    """
    if not 0 < informed <= 1:
        raise ValueError(f"sensitivity + specificity - 1 must lie in (0, 1] to correct by it, not at {informed:g}")
    low = min(interval.low, max(-1.0, interval.low / informed))
    high = max(interval.high, min(1.0, interval.high / informed))
    return replace(interval, low=low, high=high, method=f"{interval.method}, widened for the scorer's errors")
