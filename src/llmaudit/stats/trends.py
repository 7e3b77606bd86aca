"""Order within blocks: does a number rise from level to level?"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmaudit.stats.comparisons import Comparison, page, sign_flip

__all__ = ["Trend", "kendall_tau_b", "trend"]

#: Decimal places, relative to the largest value, that are more than rounding of the arithmetic.
_DIGITS = 12


class Trend(NamedTuple):
    """What the order of the levels does to a number, within blocks and over them."""

    taus: NDArray[np.float64]
    """Kendall's tau-b of each block, shape (blocks,); NaN for a block with a missing value."""
    page: Comparison
    """Page's one-sided test over the complete blocks; of 2 levels there is none."""
    p_value: float | None
    """Page's; the two-sided sign-flip p of the taus where there is none; None without a complete block."""


def trend(matrix: ArrayLike, *, seed: int) -> Trend:
    """Return the trend of the values over the columns; shapes and errors are those of `kendall_tau_b`.

    Values that differ by rounding alone are tied: a mean of the same numbers in another order is no rise.
    """
    table = np.asarray(matrix, dtype=np.float64)
    scale = np.abs(table).max(initial=0.0, where=np.isfinite(table))
    table = np.round(table / scale, _DIGITS) if scale > 0 else table
    taus = kendall_tau_b(table)
    whole = np.isfinite(taus)
    found = page(table[whole])
    if not math.isnan(found.p_value):
        return Trend(taus, found, found.p_value)
    return Trend(taus, found, sign_flip(taus[whole], seed) if whole.any() else None)


def kendall_tau_b(matrix: ArrayLike) -> NDArray[np.float64]:
    """Return Kendall's (1945) tau-b between the order of the columns and the values of each row, in [-1, 1].

    `matrix` has shape (blocks, levels), the levels in order and without ties; the result has shape (blocks,). A row
    without any difference shows no trend and gives 0, where tau-b itself is 0/0. NaN for a row with a value that is not
    finite. Raises ValueError for fewer than 2 levels.
    """
    table = np.asarray(matrix, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"blocks by 2 levels or more are needed, not an array of shape {table.shape}")
    table = np.where(np.isfinite(table).all(axis=1, keepdims=True), table, np.nan)
    earlier, later = np.triu_indices(table.shape[1], 1)
    signs = np.sign(table[:, later] - table[:, earlier])
    untied = np.abs(signs).sum(axis=1)
    scale = np.sqrt(untied * len(earlier))
    return np.asarray(np.divide(signs.sum(axis=1), scale, out=np.where(np.isnan(scale), np.nan, 0.0), where=scale > 0))
