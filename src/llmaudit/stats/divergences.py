"""How far distributions lie apart, between groups more than within them."""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = [
    "Split",
    "exchange_p",
    "jackknife_error",
    "jensen_shannon",
    "mean_difference_p",
    "split_distances",
    "total_variation",
]

#: Up to so many ways to deal members out to two groups (8 in each have 12,870) are enumerated: the test is then exact.
_MAX_ENUMERATED = 20_000
_SAMPLED = 9_999
#: Relative size of a difference that is rounding of the arithmetic and not variation of the data.
_ROUNDING = 1e-9

Array = NDArray[np.float64]


class Split(NamedTuple):
    """Mean distances of two groups of equally many members; each of shape (...), as the distances have."""

    between: Array
    """Over all pairs of a member of the one and a member of the other."""
    within_first: Array
    """Over all pairs inside the first group."""
    within_second: Array

    @property
    def excess(self) -> Array:
        """How much further apart the groups are than members of one group."""
        return np.asarray(self.between - (self.within_first + self.within_second) / 2)


def jensen_shannon(distributions: ArrayLike) -> Array:
    """Return the Jensen-Shannon divergence, base 2, of every pair of distributions (Lin 1991, IEEE Trans. Inf. Th. 37).

    `distributions` has shape (n, outcomes), rows that sum to 1; the result has shape (n, n), in bits, within [0, 1]. It
    is the divergence, the square of what scipy calls the Jensen-Shannon distance.
    """
    rows = _distributions(distributions)
    entropies = special.entr(rows).sum(axis=1)
    found = np.zeros((len(rows), len(rows)))
    for index in range(len(rows) - 1):
        mixtures = (rows[index] + rows[index + 1 :]) / 2
        own = (entropies[index] + entropies[index + 1 :]) / 2
        found[index, index + 1 :] = (special.entr(mixtures).sum(axis=1) - own) / math.log(2)
    return np.asarray(np.clip(found + found.T, 0.0, 1.0))


def total_variation(distributions: ArrayLike) -> Array:
    """Return the total variation distance of every pair of distributions: half the sum of absolute differences.

    Shapes are those of `jensen_shannon`; the result is the largest difference in the probability of any set of
    outcomes, within [0, 1].
    """
    rows = _distributions(distributions)
    found = np.zeros((len(rows), len(rows)))
    for index in range(len(rows) - 1):
        found[index, index + 1 :] = np.abs(rows[index] - rows[index + 1 :]).sum(axis=1) / 2
    return np.asarray(np.clip(found + found.T, 0.0, 1.0))


def split_distances(distances: ArrayLike) -> Split:
    """Average distances between and within two groups.

    `distances` has shape (..., 2k, 2k), symmetric, 0 on the diagonal, the k >= 2 members of the first group before
    those of the second. No member is compared with itself, so that the excess is 0 in expectation where members are
    exchangeable. Jensen-Shannon divergence and total variation are squared distances of points in a Hilbert space
    (Fuglede and Topsoe 2004; Szekely and Rizzo 2013), and the excess is an unbiased estimate of the squared distance of
    the groups' centres there: half their energy distance, 0 only where the centres coincide. It may itself come out
    below 0. Raises ValueError for another shape.
    """
    array = np.asarray(distances, dtype=np.float64)
    size = array.shape[-1] if array.ndim >= 2 else 0
    if size < 4 or size % 2 or array.shape[-2] != size:
        raise ValueError(f"distances among two groups of equally many members are needed, not of shape {array.shape}")
    k = size // 2
    pairs = k * (k - 1)  # every pair inside a group stands here twice
    return Split(
        array[..., :k, k:].mean(axis=(-2, -1)),
        array[..., :k, :k].sum(axis=(-2, -1)) / pairs,
        array[..., k:, k:].sum(axis=(-2, -1)) / pairs,
    )


def exchange_p(distances: ArrayLike, seed: int) -> float:
    """Return the one-sided p of "members are exchangeable between the groups", for the excess.

    `distances` has shape (2k, 2k), as `split_distances` takes it. Members are dealt out to the two groups anew, each
    staying the same member throughout, in all C(2k, k) ways up to 20,000; beyond, in 9,999 ways drawn with the +1
    correction (Phipson and Smyth 2010). Exchanging the groups changes nothing, so that p is 2/C(2k, k) at least.
    """
    array = np.asarray(distances, dtype=np.float64)
    observed = float(split_distances(array).excess)
    first, exact = _deals(len(array) // 2, seed)
    second = 1 - first
    k = len(array) // 2
    of_first, of_second = first @ array, second @ array
    within = ((of_first * first).sum(axis=1) + (of_second * second).sum(axis=1)) / (2 * k * (k - 1))
    null = (of_first * second).sum(axis=1) / k**2 - within
    return _share(null, observed, _ROUNDING * float(array.max(initial=0.0)), exact=exact)


def mean_difference_p(first: ArrayLike, second: ArrayLike, seed: int) -> float:
    """Return the two-sided p of "members are exchangeable between the groups", for the difference of means.

    first, second: one number per member, shape (k,). Members are dealt out as in `exchange_p`. Raises ValueError for
    groups of unequal size.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        raise ValueError(f"two groups of equally many members are needed, not {x.shape} and {y.shape}")
    both = np.concatenate([x, y])
    deals, exact = _deals(x.size, seed)
    null = np.abs((2 * deals - 1) @ both)
    return _share(null, abs(float(x.sum() - y.sum())), _ROUNDING * float(np.abs(both).max()), exact=exact)


def jackknife_error(distances: ArrayLike) -> float:
    """Return the standard error of the excess over members of the two groups, from leaving each out in turn.

    `distances` has shape (2k, 2k), as `split_distances` takes it, with k >= 3. Two-sample delete-one jackknife (Efron
    and Stein 1981, Annals of Statistics 9); it errs upward where the groups hardly differ.
    """
    array = np.asarray(distances, dtype=np.float64)
    k = len(array) // 2
    if k < 3:
        raise ValueError(f"leaving one of {k} members out leaves no pair inside a group")
    variance = 0.0
    for start in (0, k):
        left = [_excess_without(array, start + member) for member in range(k)]
        variance += (k - 1) * float(np.var(left))
    return math.sqrt(variance)


def _excess_without(distances: Array, member: int) -> float:
    k = len(distances) // 2
    kept = [index for index in range(2 * k) if index != member]
    first, second = [i for i in kept if i < k], [i for i in kept if i >= k]
    within = (_mean_inside(distances[np.ix_(side, side)]) for side in (first, second))
    return float(distances[np.ix_(first, second)].mean() - sum(within) / 2)


def _mean_inside(distances: Array) -> float:
    size = len(distances)
    return float(distances.sum() / (size * (size - 1)))


def _deals(k: int, seed: int) -> tuple[Array, bool]:
    """Return ways to deal 2k members out, 1 for the first group, shape (ways, 2k), and whether these are all."""
    ways = math.comb(2 * k, k)
    if ways <= _MAX_ENUMERATED:
        chosen = np.array(list(combinations(range(2 * k), k)))
        deals = np.zeros((ways, 2 * k))
        np.put_along_axis(deals, chosen, 1.0, axis=1)
        return deals, True
    dealt = np.broadcast_to(np.repeat([1.0, 0.0], k), (_SAMPLED, 2 * k))
    return np.random.default_rng(seed).permuted(dealt, axis=1), False


def _share(null: Array, observed: float, rounding: float, *, exact: bool) -> float:
    """Return the share of a null at or above what was observed; summed in another order, a tie may fall below it."""
    reached = int(np.count_nonzero(null >= observed - rounding))
    return reached / null.size if exact else (reached + 1) / (null.size + 1)


def _distributions(values: ArrayLike) -> Array:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"distributions by outcomes are needed, not an array of shape {rows.shape}")
    return rows
