"""How unequally something is shared."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["gini"]


def gini(values: ArrayLike) -> NDArray[np.float64]:
    """Return the Gini coefficient over the last axis: half the mean absolute difference of all pairs over the mean.

    `values` has shape (..., K) of amounts >= 0 in any unit; the result has shape (...), in [0, 1 - 1/K]: 0 where all
    have the same, 1 - 1/K where one has everything (the population form, without a correction for small K; Sen 1973,
    "On Economic Inequality", section 2.7). NaN for a sum of 0, for no values and for non-finite ones. Raises ValueError
    for a negative amount.
    """
    amounts = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    if (amounts < 0).any():
        raise ValueError("amounts are not negative")
    size = amounts.shape[-1]
    # Of K amounts in rising order the i-th is the larger one i - 1 times and the smaller one K - i times.
    weights = 2 * np.arange(1, size + 1) - size - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = np.asarray((amounts * weights).sum(axis=-1) / (size * amounts.sum(axis=-1)))
    return found
