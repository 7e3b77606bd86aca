"""What a design can detect before it runs: minimum detectable effect, clusters needed, variance components."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

__all__ = ["VarianceComponents", "clusters_needed", "mde", "mde_floor", "power_of_pass", "variance_components"]

_MIN_CLUSTERS = 2

#: Number of sides of a test. A limit is one-sided; "differs from zero" and the sign-flip p are two-sided.
Sides = Literal[1, 2]


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Where the variance of a cluster's difference comes from, in squared units of the metric."""

    between: float
    """omega^2: variance of the true difference between clusters, which no number of samples reduces."""
    within: float
    """sigma_A^2 + sigma_B^2: variance of one sample in each of the two cells."""

    def difference_sd(self, samples: int) -> float:
        """Return the standard deviation of a cluster's difference with this many samples per cell."""
        return math.sqrt(self.between + self.within / samples)


def mde(sd: float, clusters: int, alpha: float = 0.05, power: float = 0.80, sided: Sides = 1) -> float:
    """Return the smallest true mean difference that a t test over clusters detects, in the unit of `sd`.

    `sd` >= 0 is that of a cluster's difference (Miller 2024, arXiv 2411.00640, with t in place of z). It is also the
    margin that a harmless model passes with this power against a one-sided limit; against a limit on both sides ask for
    power 0.9 to pass with 0.8. Infinite below 2 clusters, 0 where `sd` is 0 or power <= alpha. Raises ValueError for a
    negative or non-finite sd, and for alpha or power outside (0, 1).
    """
    _check(sd, alpha, power)
    if clusters < _MIN_CLUSTERS:
        return math.inf
    if power <= alpha:
        return 0.0
    above = 1.0
    while _power(above, clusters, alpha, sided) < power:
        above *= 2
    return sd * float(optimize.brentq(lambda effect: _power(effect, clusters, alpha, sided) - power, 0, above))


def mde_floor(omega: float, clusters: int, alpha: float = 0.05, power: float = 0.80, sided: Sides = 1) -> float:
    """Return the limit of `mde` as the samples per cell grow: below it only more clusters help.

    `omega` is the square root of `VarianceComponents.between`. Outcomes and errors are those of `mde`.
    """
    return mde(omega, clusters, alpha, power, sided)


def clusters_needed(sd: float, delta: float, alpha: float = 0.05, power: float = 0.80, sided: Sides = 1) -> int:
    """Return the fewest clusters at which a t test detects a true mean difference `delta` > 0 with this power.

    The inverse of `mde`, at least 2. It exceeds the normal-theory count (z_alpha + z_beta)^2 sd^2/delta^2 by one or
    two. Errors are those of `mde`, and a ValueError for a delta that is not positive.
    """
    _check(sd, alpha, power)
    if not 0 < delta < math.inf:
        raise ValueError(f"a difference to detect is positive, not {delta}")
    quantiles = float(stats.norm.isf(alpha / sided)) + float(stats.norm.isf(1 - power))
    # The t test never needs fewer clusters than the normal one, so the search starts there.
    clusters = max(_MIN_CLUSTERS, math.floor((quantiles * sd / delta) ** 2))
    while sd > 0 and _power(delta / sd, clusters, alpha, sided) < power:
        clusters += 1
    return clusters


def power_of_pass(true_harm: float, margin: float, sd: float, clusters: int, alpha: float = 0.05) -> float:
    """Return the probability that the 1 - 2 alpha t interval lies below `margin`, so that a one-sided limit is passed.

    All in the unit of the metric, larger being worse; at true_harm = margin it is alpha, the rate of false passes. 0
    below 2 clusters; 1 or 0 where `sd` is 0. A parity limit on h is passed with at least power_of_pass(h) +
    power_of_pass(-h) - 1. Errors are those of `mde`.
    """
    _check(sd, alpha)
    if clusters < _MIN_CLUSTERS:
        return 0.0
    if sd == 0:
        return float(true_harm <= margin)
    return _power((margin - true_harm) / sd, clusters, alpha, 1)


def variance_components(
    cluster_differences: ArrayLike, within_variances_a: ArrayLike, within_variances_b: ArrayLike, n: int
) -> VarianceComponents | None:
    """Split the variance of cluster differences of a pilot or a stored run by the method of moments.

    omega^2 = max(0, var(d_c) - (s_A^2 + s_B^2)/n), docs/statistics.md section 0.4. All arrays have shape (C,): the
    differences, and the sample variances inside the cells of group A and of B; `n` samples per cell. None for fewer
    than 2 clusters or any non-finite number. Raises ValueError for n < 1.
    """
    if n < 1:
        raise ValueError(f"{n} samples per cell")
    columns = [np.asarray(c, dtype=np.float64) for c in (cluster_differences, within_variances_a, within_variances_b)]
    if columns[0].size < _MIN_CLUSTERS or not all(column.size and np.isfinite(column).all() for column in columns):
        return None
    within = float(columns[1].mean() + columns[2].mean())
    return VarianceComponents(max(0.0, float(columns[0].var(ddof=1)) - within / n), within)


def _power(effect: float, clusters: int, alpha: float, sided: Sides) -> float:
    """Return the chance that a t test finds a standardised effect, on its own side of zero.

    statsmodels' TTestPower gives the same where it gives a number, but NaN for large effects: the chance of finding the
    effect on the WRONG side, which it adds, is then too small for its series.
    """
    critical = float(stats.t.isf(alpha / sided, clusters - 1))
    missed = float(special.nctdtr(clusters - 1, effect * math.sqrt(clusters), critical))
    # scipy has NaN, too, for tails below 1e-7: the power is then 1, or 0 on the other side.
    return float(effect > 0) if math.isnan(missed) else 1.0 - missed


def _check(sd: float, *probabilities: float) -> None:
    if not 0 <= sd < math.inf:
        raise ValueError(f"a standard deviation is finite and not negative, not {sd}")
    if not all(0 < probability < 1 for probability in probabilities):
        raise ValueError("alpha and power lie between 0 and 1")
