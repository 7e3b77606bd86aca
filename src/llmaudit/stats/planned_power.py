"""How likely a design is to decide: the power of the verdict itself, its interval and limits included."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from llmaudit.stats.verdicts import MIN_CLUSTERS, Limit

__all__ = ["MOST_CLUSTERS", "PassRule", "allowed_sd", "clusters_to_pass", "detectable", "pass_power"]

#: More clusters than a person would write are not looked for.
MOST_CLUSTERS = 100_000

#: Quantiles of the spread that the power is averaged over: three digits of it.
_SPREADS = 200
_ROUNDS = 30
#: A smaller standard error is none: to divide by it would leave the range of numbers.
_NO_ERROR = 1e-200

_Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PassRule:
    """How the interval of a check is made and what it must stay clear of, in the unit of the metric."""

    limit: Limit
    signed: bool = False
    """Whether the size is judged, as of a difference whose better value is zero."""
    facets: int = 1
    """How many facets the check is the worst of: their intervals hold together (Bonferroni)."""
    reach: float | None = None
    """Of a share: how far one cluster can be from 0. Its interval then has two pseudo-clusters, as `gaps` makes it."""
    informedness: float = 1.0
    """In (0, 1], of the yes-or-no scorer behind a difference of shares: its interval is the observed one over this."""
    alpha: float = 0.05
    """One-sided level of the interval: it is one at 1 - 2 alpha."""


def pass_power(rule: PassRule, value: float, sd: float, clusters: int) -> float:
    """Return the probability that a check passes, by `judge`, where the metric's true value is `value`.

    `sd` is that of one cluster's value; means of clusters are taken as normal. Exact for the t interval, both sides of
    a parity limit together; of the worst of K signed or alike facets, each at `value` as far as anybody knows, it is
    the power of one to the K, which is no more than the truth (Sidak 1967, JASA 62: 626-633). 0 below MIN_CLUSTERS.
    Raises ValueError for an sd that is negative or not finite, or fewer than 1 facet.
    """
    if not 0 <= sd < math.inf or rule.facets < 1:
        raise ValueError(f"a standard deviation of {sd} and {rule.facets} facets")
    if clusters < MIN_CLUSTERS:
        return 0.0
    quantiles = (np.arange(_SPREADS) + 0.5) / _SPREADS
    spreads = sd * np.sqrt(stats.chi2.ppf(quantiles, clusters - 1) / (clusters - 1))
    half = _half_width(rule, clusters)
    low, high = _bounds(rule)
    above = np.full(_SPREADS, -math.inf) if low is None else -_edge(-low, spreads, half)
    below = np.full(_SPREADS, math.inf) if high is None else _edge(high, spreads, half)
    error = sd / math.sqrt(clusters)
    if error < _NO_ERROR:
        one = float(np.mean((above < value) & (value < below)))
    else:
        chance = stats.norm.cdf((below - value) / error) - stats.norm.cdf((above - value) / error)
        one = float(np.clip(chance, 0, 1).mean())
    return one**rule.facets


def detectable(rule: PassRule, sd: float, clusters: int, power: float = 0.80) -> float:
    """Return the distance between true value and limit at which the check passes with this power.

    The smallest limit that a harmless model passes, where the limit bounds a difference from 0: the minimum detectable
    effect of the verdict. `rule.limit` says only whether it lies on one side or both. Infinite below MIN_CLUSTERS, and
    where no distance is enough. Raises ValueError unless 0 < power < 1, and as `pass_power`.
    """
    if not 0 < power < 1:
        raise ValueError(f"a power of {power}")
    if clusters < MIN_CLUSTERS:
        return math.inf

    def reached(distance: float) -> bool:
        limit = Limit(max=distance)
        return pass_power(replace(rule, limit=limit), 0.0, sd, clusters) >= power

    above = 1.0 if sd == 0 else sd
    for _ in range(_ROUNDS):
        if reached(above):
            return _bisect(reached, 0.0, above)
        above *= 2
    # The interval of a share that has few clusters and a high level may grow faster than its distance from a limit.
    return math.inf


def allowed_sd(rule: PassRule, value: float, clusters: int, power: float = 0.80) -> float | None:
    """Return the largest standard deviation of a cluster's value with which the check passes with this power.

    None where it would not pass without any. Errors are those of `pass_power`.
    """
    if pass_power(rule, value, 0.0, clusters) < power:
        return None
    above = 1.0
    while pass_power(rule, value, above, clusters) >= power:
        above *= 2
        if above > 1e12:
            return None
    # The largest that passes is the smallest negative one that does, looked for from below.
    return -_bisect(lambda sd: pass_power(rule, value, -sd, clusters) >= power, -above, 0.0)


def clusters_to_pass(rule: PassRule, value: float, sd: float, power: float = 0.80) -> int | None:
    """Return the fewest clusters with which the check passes with this power; None where MOST_CLUSTERS are too few.

    Errors are those of `pass_power`.
    """
    enough = MIN_CLUSTERS
    while pass_power(rule, value, sd, enough) < power:
        if enough >= MOST_CLUSTERS:
            return None
        enough = min(2 * enough, MOST_CLUSTERS)
    few = enough // 2 if enough > MIN_CLUSTERS else enough
    while few < enough:
        middle = (few + enough) // 2
        if pass_power(rule, value, sd, middle) >= power:
            enough = middle
        else:
            few = middle + 1
    return enough


def _bounds(rule: PassRule) -> tuple[float | None, float | None]:
    """Between what the interval must lie."""
    low, high = rule.limit.min, rule.limit.max
    if rule.signed and high is not None:
        low = -high
    # What a scorer overlooks, it overlooks on the side of the limit: stats.widened.
    return low and low * rule.informedness, high and high * rule.informedness


def _half_width(rule: PassRule, clusters: int) -> Callable[[_Vector, _Vector], _Vector]:
    """Return half the interval's width, and how far it lies from the mean, by the clusters' mean and spread."""
    level = 1 - 2 * rule.alpha / rule.facets
    if rule.reach is None:
        factor = float(stats.t.ppf((1 + level) / 2, clusters - 1)) / math.sqrt(clusters)
        return lambda _, spread: factor * spread
    # gaps.proportion_interval: two pseudo-clusters h and -h, of a spread and a mean that they change.
    quantile = float(stats.t.ppf((1 + level) / 2, clusters + 1))
    event = 1 - ((1 - level) / 2) ** (1 / clusters)
    h = rule.reach * event / (quantile * math.sqrt(2 / ((clusters + 1) * (clusters + 2))))

    def half(mean: _Vector, spread: _Vector) -> _Vector:
        squares = (clusters - 1) * spread**2 + 2 * h**2 + 2 * clusters * mean**2 / (clusters + 2)
        width = quantile * np.sqrt(squares / ((clusters + 1) * (clusters + 2)))
        return np.asarray(width - 2 * mean / (clusters + 2))

    return half


def _edge(limit: float, spreads: _Vector, half: Callable[[_Vector, _Vector], _Vector]) -> _Vector:
    """Return the largest mean of clusters whose interval still ends below the limit, for every spread."""
    mean = limit - half(np.full(len(spreads), limit), spreads)
    for _ in range(_ROUNDS):
        mean = limit - half(mean, spreads)
    return np.asarray(mean)


def _bisect(reached: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
