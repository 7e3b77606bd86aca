"""Agreement between coders of a nominal variable: Krippendorff's alpha and Cohen's kappa, with jackknife values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Agreement", "cohen_kappa", "krippendorff_alpha"]

_Array = NDArray[np.float64]
#: From sums over units to observed and expected disagreement.
_Parts = Callable[[_Array], tuple[_Array, _Array]]


class Agreement(NamedTuple):
    """A coefficient of agreement, 1 - disagreement / expected, and what an interval of it is made of."""

    value: float
    """At most 1; 0 is what chance gives. NaN where it is undefined: all codes are the same, or no unit has two."""
    disagreement: float
    """Share of pairs of codes of one unit that differ, in [0, 1]."""
    expected: float
    """The same share if the codes were paired by chance; 0 where all codes are the same."""
    units: int
    """Number of units that at least two coders coded."""
    pseudo_values: _Array
    """Jackknife pseudo-values, one per cluster with such units, whose mean is the coefficient less its bias; NaN for
    a cluster without which the coefficient is undefined."""


def krippendorff_alpha(codes: ArrayLike, clusters: Sequence[object] | None = None) -> Agreement:
    """Return Krippendorff's alpha for nominal codes (Krippendorff 2011, "Computing Krippendorff's alpha-reliability").

    `codes` has shape (coders, units), NaN where a coder did not code a unit. A unit with fewer than two codes tells
    nothing and is left out. `clusters` names the cluster of each unit, which the jackknife leaves out as a whole
    (Efron and Tibshirani 1993, chapter 11); without it every unit is its own. Raises ValueError for other shapes.
    """
    table = np.asarray(codes, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"codes have the shape (coders, units), not {table.shape}")
    values = np.unique(table[np.isfinite(table)])
    counts = (table[:, :, None] == values).sum(axis=0).astype(np.float64)
    kept = counts.sum(axis=1) > 1
    counts, size = counts[kept], counts[kept].sum(axis=1)
    differing = (size**2 - (counts**2).sum(axis=1)) / (size - 1)
    per_unit = np.column_stack([differing, counts])
    return _jackknifed(per_unit, _labels(clusters, kept), _alpha_parts)


def cohen_kappa(first: ArrayLike, second: ArrayLike, clusters: Sequence[object] | None = None) -> Agreement:
    """Return Cohen's kappa of two coders (Cohen 1960, Educational and Psychological Measurement 20: 37-46).

    Both have shape (units,), NaN where a unit was not coded; units that lack a code are left out. Clusters and errors
    are those of `krippendorff_alpha`.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"one code per unit and coder is needed, not the shapes {one.shape} and {other.shape}")
    kept = np.isfinite(one) & np.isfinite(other)
    one, other = one[kept], other[kept]
    values = np.unique(np.concatenate([one, other]))
    says, echoes = (one[:, None] == values).astype(np.float64), (other[:, None] == values).astype(np.float64)
    per_unit = np.column_stack([one != other, says, echoes])
    return _jackknifed(per_unit, _labels(clusters, kept), _kappa_parts)


def _labels(clusters: Sequence[object] | None, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    if clusters is None:
        return np.arange(kept.sum())
    if len(clusters) != kept.size:
        raise ValueError(f"{len(clusters)} clusters for {kept.size} units")
    numbers = {label: number for number, label in enumerate(dict.fromkeys(clusters))}
    return np.array([numbers[label] for label in clusters], dtype=np.int64)[kept]


def _alpha_parts(sums: _Array) -> tuple[_Array, _Array]:
    """Return observed and expected disagreement from sums (..., 1 + values): differing pairs, counts of values."""
    counts = sums[..., 1:]
    n = counts.sum(axis=-1)
    return sums[..., 0] / n, (n**2 - (counts**2).sum(axis=-1)) / (n * (n - 1))


def _kappa_parts(sums: _Array) -> tuple[_Array, _Array]:
    """Return the same from sums (..., 1 + 2 values): differing units, counts of the first's and the second's codes."""
    says, echoes = np.split(sums[..., 1:], 2, axis=-1)
    n = says.sum(axis=-1)
    # Whole numbers until the division, so that chance agreement gives exactly 0.
    return sums[..., 0] / n, (n**2 - (says * echoes).sum(axis=-1)) / n**2


def _jackknifed(per_unit: _Array, labels: NDArray[np.int64], parts: _Parts) -> Agreement:
    present, place = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(present), per_unit.shape[1]))
    np.add.at(sums, place, per_unit)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed, expected = parts(sums.sum(axis=0))
        value = _coefficient(observed, expected)
        without = _coefficient(*parts(sums.sum(axis=0) - sums))
    pseudo = len(present) * value - (len(present) - 1) * without if len(present) > 1 else np.full(len(present), value)
    return Agreement(float(value), float(observed), float(expected), len(per_unit), pseudo)


def _coefficient(observed: _Array, expected: _Array) -> _Array:
    # Shares of whole numbers: an expected disagreement is either 0, up to rounding, or at least 1/n.
    return np.where(expected > 1e-12, 1 - observed / expected, np.nan)
