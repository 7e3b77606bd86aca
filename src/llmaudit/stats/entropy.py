"""Entropy of a next-token distribution as a sampler bends it, and the temperature that gives an entropy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

__all__ = ["TEMPERATURES", "bent", "entropy", "temperature_of_entropy"]

Array = NDArray[np.float64]

#: Between which temperatures one is looked for: greedy but for ties, and uniform but for the tail.
TEMPERATURES = (0.01, 100.0)


def bent(logprobs: ArrayLike, temperature: float, *, top_k: int = 0, top_p: float = 1.0) -> Array:
    """Return the distribution that a token is drawn from, shape (vocabulary,): p^(1/T), cut to top_k, then to top_p.

    `logprobs` are log-probabilities or logits. The cuts follow the temperature, as samplers apply them; a nucleus is
    the smallest set of most likely tokens whose mass reaches `top_p` (Holtzman et al. 2020). 0 keeps every token for
    `top_k`. Raises ValueError for a temperature that is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"a temperature of {temperature}: it must be above 0")
    scaled = np.asarray(logprobs, dtype=np.float64) / temperature
    weights = np.exp(scaled - scaled.max())
    if top_k or top_p < 1:  # sorting a vocabulary takes longer than all the rest
        order = np.argsort(-weights, kind="stable")
        if top_k:
            weights[order[top_k:]] = 0
        if top_p < 1:
            ordered = weights[order] / weights.sum()
            weights[order[np.cumsum(ordered) - ordered >= top_p]] = 0
    return np.asarray(weights / weights.sum())


def entropy(probabilities: ArrayLike) -> float:
    """Return Shannon's entropy in nats, at least 0."""
    p = np.asarray(probabilities, dtype=np.float64)
    kept = p[p > 0]
    return float(-(kept * np.log(kept)).sum()) + 0.0


def temperature_of_entropy(distributions: Sequence[ArrayLike], target: float, *, top_k: int = 0) -> float:
    """Return the temperature at which the mean entropy of the distributions is `target` nats.

    There is one at most: dH/dT = Var(ln p)/T^3 >= 0, the variance being under p_T, for each distribution and hence for
    their mean. NaN where no temperature of TEMPERATURES has it, and for no distribution.
    """
    if not distributions:
        return math.nan

    def excess(log_temperature: float) -> float:
        temperature = math.exp(log_temperature)
        return float(np.mean([entropy(bent(row, temperature, top_k=top_k)) for row in distributions])) - target

    low, high = map(math.log, TEMPERATURES)
    if not excess(low) < 0 < excess(high):
        return math.nan
    return math.exp(float(optimize.brentq(excess, low, high, xtol=1e-10)))
