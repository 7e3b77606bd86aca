"""The points of a trade-off that no other point beats."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["pareto_front"]


def pareto_front(costs: ArrayLike, qualities: ArrayLike) -> list[int]:
    """Return the indices of the points that no other is at least as good as in both and better in one (Pareto 1906).

    `costs`, where lower is better, and `qualities`, where higher is better, have shape (n,), any units. The points come
    by rising cost, equal ones in their order; a point that is not finite is none. Raises ValueError for other shapes.
    """
    x, y = np.asarray(costs, dtype=np.float64), np.asarray(qualities, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"one cost and one quality per point are needed, not shapes {x.shape} and {y.shape}")
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    found = [
        int(point)
        for point in known
        if not ((x[known] <= x[point]) & (y[known] >= y[point]) & ((x[known] < x[point]) | (y[known] > y[point]))).any()
    ]
    return sorted(found, key=lambda point: (x[point], point))
