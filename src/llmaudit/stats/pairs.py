"""Means over all pairs of items, with the item as the unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["pair_pseudo_values"]

Array = NDArray[np.float64]


def pair_pseudo_values(values: ArrayLike) -> Array:
    """Return one number per item whose mean is the mean over all pairs, and whose spread gives its standard error.

    values: shape (n, n), symmetric, n >= 3; the diagonal is not looked at. These are the delete-one jackknife's
    pseudo-values n U - (n - 1) U_i of the mean over pairs U, a U-statistic of degree 2 (Efron and Stein 1981, Annals of
    Statistics 9; Arvesen 1969): their t interval is the jackknife's. The standard error of U is about that of twice the
    items' own means, which a t interval over those would miss by half. Raises ValueError for another shape.
    """
    array = np.asarray(values, dtype=np.float64)
    n = len(array) if array.ndim == 2 else 0
    if n < 3 or array.shape != (n, n):
        raise ValueError(f"values of all pairs of three or more items are needed, not of shape {array.shape}")
    rows = array.sum(axis=1) - np.diag(array)
    whole = rows.sum() / (n * (n - 1))
    without = (rows.sum() - 2 * rows) / ((n - 1) * (n - 2))
    return np.asarray(n * whole - (n - 1) * without)
