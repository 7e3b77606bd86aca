"""Whether the worst of several facets differs between two conditions that share their clusters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmaudit.types import Better

__all__ = ["paired_permutation_worst"]

Array = NDArray[np.float64]

#: Up to this many swaps (13 clusters) are enumerated, which makes the test exact.
_MAX_ENUMERATED = 8192
#: Numbers drawn at a time: bounds the memory to some 16 MB.
_BATCH_ELEMENTS = 2_000_000
#: Relative size of a difference that is rounding of the arithmetic and not variation of the data.
_ROUNDING = 1e-12


def paired_permutation_worst(
    one: ArrayLike, other: ArrayLike, better: Better, seed: int, resamples: int = 9999
) -> float:
    """Return the p of "the worst facet is as bad in both conditions" from swapping the conditions within clusters.

    `one` and `other` hold cluster values, shape (C clusters, F facets), any unit. The statistic is the difference of
    the two worst means over clusters (the largest where lower is better, the smallest for higher, the largest size for
    zero). Under the null the conditions of a cluster are exchangeable, all its facets together; with one facet, and
    lower or higher better, this is the sign-flip test (Fisher 1935). All 2^C swaps are made up to 13 clusters, else
    `resamples` are drawn with the +1 correction (Phipson and Smyth 2010). Raises ValueError for other shapes, no
    cluster or a value that is not finite.
    """
    first, second = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if first.ndim != 2 or first.shape != second.shape or not first.size:
        raise ValueError(f"clusters by facets of both are needed, not shapes {first.shape} and {second.shape}")
    changes = second - first
    if not np.isfinite(changes).all():
        raise ValueError("every facet needs a finite value in every cluster")
    clusters = len(first)
    if clusters == 1 or not changes.any():
        return 1.0
    means = first.mean(axis=0), second.mean(axis=0)
    observed = _difference(*means, better) * (1 - _ROUNDING)
    exact = 2**clusters <= _MAX_ENUMERATED
    count = reached = 0
    for swapped in _swaps(clusters, resamples, seed):
        moved = swapped @ changes / clusters
        reached += int((_difference(means[0] + moved, means[1] - moved, better) >= observed).sum())
        count += len(swapped)
    return reached / count if exact else (reached + 1) / (count + 1)


def _swaps(clusters: int, resamples: int, seed: int) -> Iterator[Array]:
    """Yield which clusters are swapped, shape (swaps, clusters)."""
    if 2**clusters <= _MAX_ENUMERATED:
        yield np.array(list(product((0.0, 1.0), repeat=clusters)))
        return
    rng = np.random.default_rng(seed)
    batch = max(1, _BATCH_ELEMENTS // clusters)
    for start in range(0, resamples, batch):
        yield rng.integers(0, 2, (min(batch, resamples - start), clusters)).astype(np.float64)


def _difference(one: Array, other: Array, better: Better) -> Array:
    """Size of the difference of the worst facets."""
    if better == "zero":
        one, other = np.abs(one), np.abs(other)
    worst = np.min if better == "higher" else np.max
    return np.asarray(np.abs(worst(other, axis=-1) - worst(one, axis=-1)))
