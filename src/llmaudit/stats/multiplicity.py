"""Adjustment of p-values over a declared family."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

__all__ = ["benjamini_hochberg", "holm"]


def holm(p_values: Mapping[str, float | None]) -> dict[str, float]:
    """Return p-values adjusted by Holm (1979): the chance of any false discovery in the family stays below alpha.

    The family is every key, as the suite DECLARES it. A member without a p-value (None or NaN: not run, not measurable)
    keeps NaN and still counts, so that leaving checks out never makes the others look better. Raises ValueError for a
    p-value outside [0, 1].
    """
    return _adjusted(p_values, _step_down)


def benjamini_hochberg(p_values: Mapping[str, float | None]) -> dict[str, float]:
    """Return p-values adjusted by Benjamini and Hochberg (1995): the expected share of false discoveries, for screens.

    The family, the missing members and the errors are those of `holm`.
    """
    return _adjusted(p_values, false_discovery_control)


def _adjusted(
    p_values: Mapping[str, float | None], method: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> dict[str, float]:
    if not p_values:
        return {}
    raw = np.array([math.nan if p is None else p for p in p_values.values()], dtype=np.float64)
    missing = np.isnan(raw)
    if ((raw < 0) | (raw > 1)).any():
        raise ValueError("a p-value lies between 0 and 1")
    # A p of 1 stands in for a missing member: it can only make the others' adjustment larger.
    adjusted = method(np.where(missing, 1.0, raw))
    return dict(zip(p_values, np.where(missing, math.nan, adjusted).tolist(), strict=True))


def _step_down(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust by Holm. statsmodels gives the same, and collects garbage at every call, for a tenth of a second."""
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p_values[order]))
    return adjusted
