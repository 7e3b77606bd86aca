"""Looking at the data more than once: how much of the error may be spent at each look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

__all__ = ["Spending", "boundaries", "crossing_probability", "look_levels", "spent"]

#: How an error is spent over looks: hardly any of it early (O'Brien and Fleming 1979), or evenly (Pocock 1977).
Spending = Literal["obrien_fleming", "pocock"]

#: Standard deviations below which nothing of a statistic's distribution is left.
_FAR = 9.0
_NODES = 200

_Vector = NDArray[np.float64]


def spent(plan: Spending, fraction: float, alpha: float = 0.05) -> float:
    """Return how much of a one-sided error `alpha` is spent when a share of the information in (0, 1] is there.

    Lan and DeMets (1983, Biometrika 70: 659-663): 2 - 2 Phi(z_{alpha/2} / sqrt(t)), like O'Brien and Fleming, and
    alpha ln(1 + (e - 1) t), like Pocock. Raises ValueError for another plan, fraction or alpha.
    """
    if plan not in get_args(Spending):
        raise ValueError(f"{plan!r} is not a plan: {' or '.join(get_args(Spending))}")
    if not 0 < fraction <= 1 or not 0 < alpha < 1:
        raise ValueError(f"a fraction of {fraction} and an alpha of {alpha} do not lie between 0 and 1")
    if plan == "pocock":
        return alpha * math.log1p((math.e - 1) * fraction)
    return 2 * float(stats.norm.sf(stats.norm.isf(alpha / 2) / math.sqrt(fraction)))


def boundaries(plan: Spending, looks: int, alpha: float = 0.05) -> tuple[float, ...]:
    """Return the z value that each of so many equally spaced looks must exceed, for a one-sided error `alpha` in all.

    By the recursive integration of Armitage, McPherson and Rowe (1969, JRSS A 132: 235-244). A two-sided test takes
    half its error here, and the same values on both sides. Raises ValueError for less than one look, and as `spent`.
    """
    if looks < 1:
        raise ValueError(f"{looks} looks")
    fractions = [look / looks for look in range(1, looks + 1)]
    total = [spent(plan, fraction, alpha) for fraction in fractions]
    found: list[float] = []
    state = _Walk(fractions[0])
    for number, fraction in enumerate(fractions):
        increment = total[number] - (total[number - 1] if number else 0.0)
        bound = state.bound(increment)
        found.append(bound / math.sqrt(fraction))
        if number + 1 < looks:
            state.step(bound, fractions[number + 1])
    return tuple(found)


def look_levels(plan: Spending, looks: int, alpha: float = 0.05) -> tuple[float, ...]:
    """Return the one-sided level of every look's own test, such that all looks together err with at most `alpha`.

    The interval of look k is one at 1 - 2 level_k. The levels hold for t intervals too, to a close approximation
    (Jennison and Turnbull 2000, "Group sequential methods", section 3.8). Where estimates at two looks are correlated
    more closely than sqrt(k/l), as they are where clusters stay and samples are added, the error only falls (Slepian
    1962). Errors are those of `boundaries`.
    """
    return tuple(float(stats.norm.sf(bound)) for bound in boundaries(plan, looks, alpha))


def crossing_probability(bounds: Sequence[float]) -> float:
    """Return the chance that any of some equally spaced looks exceeds its z value, where the true mean is 0.

    Raises ValueError without any look.
    """
    if not bounds:
        raise ValueError("no looks")
    fractions = [(number + 1) / len(bounds) for number in range(len(bounds))]
    state, total = _Walk(fractions[0]), 0.0
    for number, bound in enumerate(bounds):
        edge = bound * math.sqrt(fractions[number])
        total += state.above(edge)
        if number + 1 < len(bounds):
            state.step(edge, fractions[number + 1])
    return total


class _Walk:
    """A Brownian motion at the time of a look, on the paths that crossed no earlier bound."""

    def __init__(self, time: float) -> None:
        # Before the first look it stands at 0 with certainty.
        self._nodes: _Vector = np.zeros(1)
        self._mass: _Vector = np.ones(1)
        self._since, self._time = 0.0, time

    def above(self, edge: float) -> float:
        """The probability of being above an edge now, and below all bounds before."""
        return float((self._mass * stats.norm.sf((edge - self._nodes) / self._sd)).sum())

    def bound(self, probability: float) -> float:
        """The edge above which it is with this probability."""
        far = _FAR * math.sqrt(self._time)
        return float(optimize.brentq(lambda edge: self.above(edge) - probability, -far, far, xtol=1e-12))

    def step(self, edge: float, time: float) -> None:
        """Stop the paths above the edge and go on to the time of the next look."""
        low = -_FAR * math.sqrt(self._time)
        points, weights = np.polynomial.legendre.leggauss(_NODES)
        nodes = low + (edge - low) * (points + 1) / 2
        density = stats.norm.pdf((nodes[:, np.newaxis] - self._nodes) / self._sd) / self._sd
        mass = (density @ self._mass) * weights * (edge - low) / 2
        self._nodes, self._mass = nodes, mass
        self._since, self._time = self._time, time

    @property
    def _sd(self) -> float:
        return math.sqrt(self._time - self._since)
