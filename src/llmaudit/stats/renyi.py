"""How evenly a text uses a vocabulary: Renyi efficiency."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["RENYI_ORDER", "renyi_efficiency", "renyi_efficiency_without_each"]

#: The order that went best with the quality of translation (Zouhar et al. 2023, arXiv 2306.16842, section 5).
RENYI_ORDER = 2.5


def renyi_efficiency(counts: NDArray[np.int64], vocabulary: int, order: float = RENYI_ORDER) -> float:
    """Return H_a(p)/ln|V|, with H_a(p) = ln(sum p^a)/(1 - a) the Renyi entropy of the shares p of the tokens.

    `counts` has shape (types,): how often each token stands in the text; `vocabulary` is |V|, the number of tokens
    that there are, used or not. The result lies in [0, 1]: 1 where all |V| are used equally often. NaN without any
    token. Raises ValueError for an order of 1 or below 0, a negative count, and a vocabulary smaller than 2 or than
    the tokens used.
    """
    _check(order, vocabulary)
    if (counts < 0).any() or np.count_nonzero(counts) > vocabulary:
        raise ValueError(f"{np.count_nonzero(counts)} types of a vocabulary of {vocabulary}")
    total = float(counts.sum())
    if not total:
        return math.nan
    power = float(((counts[counts > 0] / total) ** order).sum())
    return math.log(power) / (1 - order) / math.log(vocabulary)


def renyi_efficiency_without_each(
    clusters: Sequence[NDArray[np.int64]], vocabulary: int, order: float = RENYI_ORDER
) -> NDArray[np.float64]:
    """Return the efficiency of the text without each of its clusters, shape (C,), for a jackknife.

    `clusters` holds the token ids of each. NaN where nothing is left. Errors are those of `renyi_efficiency`.
    """
    _check(order, vocabulary)
    if not clusters:
        return np.zeros(0)
    types, places, counts = np.unique(np.concatenate(clusters), return_inverse=True, return_counts=True)
    if types.size > vocabulary:
        raise ValueError(f"{types.size} types of a vocabulary of {vocabulary}")
    whole = float((counts.astype(np.float64) ** order).sum())
    ends = np.cumsum([len(cluster) for cluster in clusters])
    found = np.full(len(clusters), math.nan)
    for number, own in enumerate(np.split(places, ends[:-1])):
        # Only the types of the cluster itself change.
        here, times = np.unique(own, return_counts=True)
        left = counts[here].astype(np.float64)
        power = whole - float((left**order).sum()) + float(((left - times) ** order).sum())
        total = float(ends[-1] - len(own))
        if total > 0:
            found[number] = (math.log(power) - order * math.log(total)) / (1 - order) / math.log(vocabulary)
    return found


def _check(order: float, vocabulary: int) -> None:
    if order < 0 or order == 1:
        raise ValueError(f"a Renyi entropy of order {order}: an order above 0 that is not 1 is needed")
    if vocabulary < 2:
        raise ValueError(f"a vocabulary of {vocabulary} has no efficiency")
