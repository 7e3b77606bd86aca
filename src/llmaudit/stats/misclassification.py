"""What a scorer's errors do to a difference of two proportions: Rogan and Gladen (1978)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from llmaudit.stats.intervals import wilson
from llmaudit.types import Interval

__all__ = ["Informedness", "informedness", "widened"]


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
    bounds = [wilson(right, count, level) for right, count in (sensitivity, specificity)]
    halves = [(bound.high - bound.low) / 2 for bound in bounds if bound is not None]
    if len(halves) < len(bounds):
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
