"""Order within blocks: does a number rise from level to level?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["kendall_tau_b"]


def kendall_tau_b(matrix: ArrayLike) -> NDArray[np.float64]:
    """Return Kendall's (1945) tau-b between the order of the columns and the values of each row, in [-1, 1].

    `matrix` has shape (blocks, levels), the levels in order and without ties; the result has shape (blocks,). A row
    without any difference shows no trend and gives 0, where tau-b itself is 0/0. NaN for a row with a missing value.
    Raises ValueError for fewer than 2 levels.
    """
    table = np.asarray(matrix, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"blocks by 2 levels or more are needed, not an array of shape {table.shape}")
    earlier, later = np.triu_indices(table.shape[1], 1)
    signs = np.sign(table[:, later] - table[:, earlier])
    untied = np.abs(signs).sum(axis=1)
    scale = np.sqrt(untied * len(earlier))
    return np.asarray(np.divide(signs.sum(axis=1), scale, out=np.where(np.isnan(scale), np.nan, 0.0), where=scale > 0))
