"""Two groups and a yes or no, over strata: Cochran-Mantel-Haenszel."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

__all__ = ["StratifiedOdds", "cochran_mantel_haenszel"]


class StratifiedOdds(NamedTuple):
    """What the strata together say about the odds of two groups."""

    odds_ratio: float | None
    """Mantel and Haenszel's (1959) common odds ratio, first group over second; None where it is 0/0 or infinite."""
    p_value: float | None
    """Of "the odds are equal in every stratum", two-sided, chi-square with 1 degree of freedom and without correction
    for continuity; None where no stratum has both groups and both answers."""


def cochran_mantel_haenszel(tables: ArrayLike) -> StratifiedOdds:
    """Return the common odds ratio of 2 x 2 tables and Cochran's (1954) test that it is 1.

    `tables` has shape (strata, 2, 2): counts of [[yes, no] of the first group, [yes, no] of the second]. Answers inside
    a stratum are taken as independent, so that the p speaks of these strata and not of others like them. A stratum with
    fewer than 2 answers says nothing. Raises ValueError for another shape, and for a negative or non-finite count.
    """
    counts = np.asarray(tables, dtype=np.float64)
    if counts.ndim != 3 or counts.shape[1:] != (2, 2):
        raise ValueError(f"tables of counts have the shape (strata, 2, 2), not {counts.shape}")
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError("a count is finite and not negative")
    totals = counts.sum(axis=(1, 2))
    counts, totals = counts[totals > 1], totals[totals > 1]
    first, yes = counts[:, 0].sum(axis=1), counts[:, :, 0].sum(axis=1)
    excess = float((counts[:, 0, 0] - first * yes / totals).sum())
    variance = float((first * (totals - first) * yes * (totals - yes) / (totals**2 * (totals - 1))).sum())
    over = float((counts[:, 0, 0] * counts[:, 1, 1] / totals).sum())
    under = float((counts[:, 0, 1] * counts[:, 1, 0] / totals).sum())
    p_value = float(stats.chi2.sf(excess**2 / variance, 1)) if variance > 0 else None
    ratio = over / under if under > 0 else math.nan
    return StratifiedOdds(ratio if math.isfinite(ratio) else None, p_value)
