"""Tests of "differs from nothing" over clusters, and sizes of effects: reported beside a verdict, never as one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = [
    "Comparison",
    "WorstGapNull",
    "friedman",
    "hedges_g_paired",
    "min_attainable_p",
    "page",
    "permutation_null_worst_gap",
    "sign_flip",
]

#: Up to this many sign patterns (13 clusters) are enumerated, which makes the test exact.
_MAX_ENUMERATED = 8192
#: Numbers drawn at a time: bounds the memory of a permutation test to some 16 MB.
_BATCH_ELEMENTS = 2_000_000
#: Relative size of a difference that is rounding of the arithmetic and not variation of the data.
_ROUNDING = 1e-12
_MIN_BLOCKS = 2
_MIN_TREATMENTS = 3
_MIN_CLUSTERS_FOR_G = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome of one test over blocks."""

    test: str
    statistic: float
    """NaN where the test could not be made."""
    p_value: float
    """In (0, 1]; NaN where the test could not be made."""
    blocks: int
    """Number of clusters that went in."""
    problem: str | None = None
    """Why the test could not be made."""


class WorstGapNull(NamedTuple):
    """How large the worst gap between groups is by chance."""

    p_value: float
    """Share of label permutations with a worst gap at least as large as the observed one."""
    null_mean: float
    """Mean worst gap under permutation, in the unit of the cells: what a maximum reads where nothing differs."""
    null_95th: float
    """95th percentile of the same."""


def sign_flip(
    differences: ArrayLike,
    seed: int,
    resamples: int = 9999,
    alternative: Literal["two-sided", "greater"] = "two-sided",
) -> float:
    """Return the p of "the mean difference is zero" from flipping the signs of cluster differences.

    `differences` has shape (C,), any unit; `alternative` is what the mean may be instead. It assumes only that they are
    symmetric about 0 under the null (Fisher 1935). All 2^C patterns are enumerated up to 13 clusters; beyond,
    `resamples` are drawn with the +1 correction (Phipson and Smyth 2010). Differences that are all 0 give 1. Raises
    ValueError for an empty, non-finite or not one-dimensional input.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError("a sign-flip test needs one finite difference per cluster, and at least one")
    if values.size == 1 or not values.any():
        return 1.0
    patterns = 2**values.size
    found = stats.permutation_test(
        (values / np.abs(values).max(),),  # scale-free, so that no sum overflows
        lambda sample, axis: sample.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=patterns if patterns <= _MAX_ENUMERATED else resamples,
        batch=max(1, _BATCH_ELEMENTS // values.size),
        alternative=alternative,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def min_attainable_p(clusters: int) -> float:
    """Return the smallest two-sided p that a sign-flip test over this many clusters can give: 2/2^C, at most 1."""
    return min(1.0, 2.0 ** (1 - clusters))


def hedges_g_paired(differences: ArrayLike) -> float | None:
    """Return Hedges' g of paired cluster differences, J * mean / sd with J = 1 - 3/(4(C-1) - 1) (Hedges 1981).

    `differences` has shape (C,); g is in standard deviations of a cluster's difference. None where the sd is 0 but for
    rounding, a value is not finite, or C < 3: at 2 clusters J is 0, and a g of 0 would read as "no difference".
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.size < _MIN_CLUSTERS_FOR_G or not np.isfinite(values).all() or not values.any():
        return None
    scaled = values / np.abs(values).max()
    if np.ptp(scaled) <= _ROUNDING:
        return None
    correction = 1 - 3 / (4 * (values.size - 1) - 1)
    return correction * float(scaled.mean()) / float(scaled.std(ddof=1))


def friedman(matrix: ArrayLike) -> Comparison:
    """Return Friedman's (1937) rank test that any of k >= 3 groups differs, blocks being clusters.

    `matrix` has shape (C clusters, k groups). Rows without any difference give p = 1; fewer than 2 rows or 3 columns,
    or a non-finite cell, give a `problem`. Raises ValueError unless the matrix has two dimensions.
    """
    name, table = "Friedman", _matrix(matrix)
    refused = _refused(name, table)
    if refused:
        return refused
    if _all_tied(table):
        return Comparison(name, 0.0, 1.0, len(table))
    found = stats.friedmanchisquare(*table.T)
    return Comparison(name, float(found.statistic), float(found.pvalue), len(table))


def page(matrix: ArrayLike) -> Comparison:
    """Return Page's (1963) one-sided rank test that the columns increase from left to right, blocks being clusters.

    Shapes, outcomes and errors are those of `friedman`.
    """
    name, table = "Page trend", _matrix(matrix)
    refused = _refused(name, table)
    if refused:
        return refused
    found = stats.page_trend_test(table)
    return Comparison(name, float(found.statistic), 1.0 if _all_tied(table) else float(found.pvalue), len(table))


def permutation_null_worst_gap(cells: ArrayLike, seed: int, resamples: int = 9999) -> WorstGapNull:
    """Return how large the worst pairwise gap of group means is when group labels are shuffled within each cluster.

    `cells` holds cell means, shape (C clusters, G groups). A maximum over pairs is biased upward, so it is to be read
    against this null and not against 0. The p has the +1 correction. Raises ValueError for a non-finite cell, no
    cluster or fewer than 2 groups.
    """
    table = _matrix(cells)
    if not table.size or table.shape[1] < 2 or not np.isfinite(table).all():
        raise ValueError("a gap needs a finite cell for each of 2 groups or more, in 1 cluster or more")
    rng = np.random.default_rng(seed)
    batch = max(1, _BATCH_ELEMENTS // table.size)
    sizes = [min(batch, resamples - start) for start in range(0, resamples, batch)]
    shuffles = (rng.permuted(np.broadcast_to(table, (size, *table.shape)), axis=-1) for size in sizes)
    null = np.concatenate([_worst_gap(shuffled) for shuffled in shuffles])
    # Shuffling reorders sums: a tie with the observed gap may come out a rounding error below it.
    reached = np.count_nonzero(null >= _worst_gap(table) * (1 - _ROUNDING))
    return WorstGapNull((reached + 1) / (resamples + 1), float(null.mean()), float(np.quantile(null, 0.95)))


def _worst_gap(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.ptp(cells.mean(axis=-2), axis=-1))


def _matrix(values: ArrayLike) -> NDArray[np.float64]:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"clusters by groups are needed, not an array of shape {matrix.shape}")
    return matrix


def _refused(test: str, table: NDArray[np.float64]) -> Comparison | None:
    blocks, treatments = table.shape
    if blocks < _MIN_BLOCKS or treatments < _MIN_TREATMENTS:
        problem = f"{test} needs 2 clusters and 3 columns, and got {blocks} and {treatments}"
    elif not np.isfinite(table).all():
        problem = f"{test} needs a finite value in every cell"
    else:
        return None
    return Comparison(test, math.nan, math.nan, blocks, problem)


def _all_tied(table: NDArray[np.float64]) -> bool:
    return bool((table == table[:, :1]).all())
