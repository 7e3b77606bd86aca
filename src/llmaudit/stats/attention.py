"""What attention weights tell of a layer: how widely it looks, and how much it leaves on the first token."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["attention_entropy", "first_token_attention", "uniform_first_token_attention"]

Array = NDArray[np.float64]


def attention_entropy(weights: ArrayLike) -> float:
    """Return the mean entropy of attention over heads and queries, as a share of the largest possible, in [0, 1].

    weights: shape (heads, n, n), causal: query i sees keys 0 to i. Shannon entropy in nats over log(i + 1), that of
    equal attention to all that is visible; 1 for uniform attention, 0 for attention to one token. The first query sees
    one key and has no choice: it is left out, and a text of one token gives NaN. Weights of a query that sum to less
    than 1 (attention sinks) are divided by their sum. Raises ValueError for another shape.
    """
    array = _weights(weights)
    if array.shape[1] < 2:
        return float("nan")
    shares = array[:, 1:] / array[:, 1:].sum(axis=-1, keepdims=True)
    visible = np.arange(2, array.shape[1] + 1)
    return float((special.entr(shares).sum(axis=-1) / np.log(visible)).mean())


def first_token_attention(weights: ArrayLike) -> float:
    """Return the mean weight on the first token over heads and queries but the first, in [0, 1].

    Large values are the "attention sink" (Xiao et al. 2024, arXiv 2309.17453). Shape, NaN and errors are those of
    `attention_entropy`.
    """
    array = _weights(weights)
    return float(array[:, 1:, 0].mean()) if array.shape[1] > 1 else float("nan")


def uniform_first_token_attention(tokens: int) -> float:
    """Return what `first_token_attention` is where a text of `tokens` tokens is looked at in equal parts."""
    return float((1 / np.arange(2, tokens + 1)).mean()) if tokens > 1 else float("nan")


def _weights(weights: ArrayLike) -> Array:
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim != 3 or array.shape[1] != array.shape[2]:
        raise ValueError(f"weights of heads by queries by keys are needed, not of shape {array.shape}")
    return array
