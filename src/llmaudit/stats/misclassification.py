"""What a scorer's errors do to a proportion, and to a difference of two: Rogan and Gladen (1978)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from llmaudit.stats.intervals import wilson
from llmaudit.types import Interval

__all__ = ["Informedness", "informedness", "widened", "widened_share"]


class Informedness(NamedTuple):
    """Sensitivity + specificity - 1 of a yes-or-no scorer (Youden 1950), in [-1, 1], as labelled texts show it."""

    value: float
    half_width: float
    """Of its interval."""

    @property
    def useless(self) -> bool:
        """Whether the scorer cannot be told from chance."""
        return self.value - self.half_width <= 0


def informedness(
    sensitivity: tuple[int, int], specificity: tuple[int, int], level: float = 0.90
) -> Informedness | None:
    """Estimate a scorer's informedness from (right, of how many) counted on labelled texts.

    Its half width joins those of the two Wilson intervals at `level`, as of independent errors. None where nothing was
    counted. Raises ValueError for more right than there are, or a level outside (0, 1).
    """
    halves = [_half_width(right, count, level) for right, count in (sensitivity, specificity)]
    if any(map(math.isnan, halves)):
        return None
    value = sum(right / count for right, count in (sensitivity, specificity)) - 1
    return Informedness(value, math.hypot(*halves))


def widened(interval: Interval, informed: Informedness) -> Interval:
    """Return the hull of the interval of an observed difference of proportions and of the corrected one.

    A yes-or-no scorer with the same sensitivity and specificity in both groups shrinks their true difference by its
    informedness J (Rogan and Gladen 1978, American Journal of Epidemiology 107: 71-76), so that the true one is the
    observed one over J. Its half width is that of the observed one over J, joined with what the uncertainty of J adds
    (the delta method): nothing where no difference is observed. The correction stays inside [-1, 1], where differences
    of proportions are. Raises ValueError for a scorer that cannot be told from chance.
    """
    if informed.useless or informed.value > 1 or math.isnan(informed.value):
        raise ValueError(f"a scorer of informedness {informed.value:g} cannot be told from chance, or is impossible")
    middle, half = (interval.low + interval.high) / 2, (interval.high - interval.low) / 2
    corrected = middle / informed.value
    reach = math.hypot(half / informed.value, corrected / informed.value * informed.half_width)
    low = min(interval.low, max(-1.0, corrected - reach))
    high = max(interval.high, min(1.0, corrected + reach))
    return replace(interval, low=low, high=high, method=f"{interval.method}, widened for the scorer's errors")


def widened_share(
    interval: Interval, sensitivity: tuple[int, int], specificity: tuple[int, int], level: float = 0.90
) -> Interval:
    """Return the hull of the interval of an observed proportion and of the corrected one, inside [0, 1].

    The true proportion is (observed + specificity - 1)/J, J being the informedness (Rogan and Gladen 1978): false
    alarms are taken off, and what was overlooked is added. Its half width joins that of the observed proportion with
    those of both rates, from the counts on labelled texts at `level` (the delta method). Raises ValueError for a scorer
    that cannot be told from chance, and for counts as `informedness` does.
    """
    informed = informedness(sensitivity, specificity, level)
    if informed is None or informed.useless:
        raise ValueError("a scorer that cannot be told from chance corrects nothing")
    middle, half = (interval.low + interval.high) / 2, (interval.high - interval.low) / 2
    share = (middle + specificity[0] / specificity[1] - 1) / informed.value
    overlooked = share * _half_width(*sensitivity, level)
    alarms = (1 - share) * _half_width(*specificity, level)
    reach = math.hypot(half, overlooked, alarms) / informed.value
    low = min(interval.low, max(0.0, share - reach))
    high = max(interval.high, min(1.0, share + reach))
    return replace(interval, low=low, high=high, method=f"{interval.method}, widened for the scorer's errors")


def _half_width(right: int, count: int, level: float) -> float:
    bound = wilson(right, count, level)
    return math.nan if bound is None else (bound.high - bound.low) / 2
