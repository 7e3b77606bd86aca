"""What one model has more or less of than another: paired within clusters, tested, and adjusted over the pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmaudit.changes import Changes
from llmaudit.records import EstimateRecord
from llmaudit.stats import holm, sign_flip
from llmaudit.types import Estimate, Interval

__all__ = ["ALPHA", "Difference", "adjusted", "difference"]

#: Adjusted p below which two runs are told apart.
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """How two runs differ in a metric: the second minus the first."""

    pair: tuple[int, int]
    value: float | None
    low: float | None = None
    high: float | None = None
    method: str = "none"
    clusters: int = 0
    """How many both have."""
    p_value: float | None = None
    """Of "no difference"; None for exact metrics and where it cannot be tested."""
    p_nearer: float | None = None
    """Where zero is best: of "equally far from zero", which is above `p_value` or equal to it."""
    p_adjusted: float | None = None
    """By Holm over the pairs of the metric."""
    exact: bool = False
    problem: str | None = None
    """Why there is no difference to speak of."""
    better: int | None = None
    """The run that is the better one; None where that is not shown."""

    @property
    def apart(self) -> bool:
        """Whether the two are told apart."""
        if self.problem is not None:
            return False
        if self.exact:
            return bool(self.value)
        return self.p_adjusted is not None and self.p_adjusted < ALPHA


def difference(metric: str, pair: tuple[int, int], changes: Changes) -> Difference:
    """Compare two runs in a metric, given all that their audits estimated.

    The difference is taken within clusters and averaged over those that both have. Where a metric is the worst of its
    facets, it is that of the facets which are worst in each.
    """
    one, other = changes.model[metric], changes.other[metric]
    if problem := one.problem or other.problem:
        return Difference(pair, _known(other.value - one.value), problem=problem)
    facets = changes.behind(metric)
    compared = _of_worst(metric, facets, changes) if facets else changes
    found = compared.parts(metric)[0]
    return Difference(
        pair,
        _known(found.value),
        *_bounds(found.interval),
        clusters=found.clusters,
        p_value=found.p_value,
        p_nearer=_p_nearer(found, changes) if one.better == "zero" else None,
        exact=one.deterministic,
        problem=found.problem,
    )


def adjusted(differences: Sequence[Difference], estimates: Sequence[EstimateRecord | None]) -> tuple[Difference, ...]:
    """Adjust the p-values of a metric by Holm over its pairs, and say of each pair told apart which is the better.

    `estimates` holds that of every run. Where zero is best, telling which is nearer to it is a family of its own.
    """
    names = [f"{each.pair[0]}-{each.pair[1]}" for each in differences]
    apart = _holm(names, [each.p_value for each in differences])
    nearer = _holm(names, [each.p_nearer for each in differences])
    known = [replace(each, p_adjusted=apart[name]) for name, each in zip(names, differences, strict=True)]
    return tuple(
        replace(each, better=_better(each, nearer[name], estimates)) for name, each in zip(names, known, strict=True)
    )


def _holm(names: Sequence[str], p_values: Sequence[float | None]) -> dict[str, float | None]:
    found = holm(dict(zip(names, p_values, strict=True)))
    return {name: _known(p) for name, p in found.items()}


def _better(found: Difference, p_nearer: float | None, estimates: Sequence[EstimateRecord | None]) -> int | None:
    one, other = (estimates[run] for run in found.pair)
    if not found.apart or one is None or other is None or one.value is None or other.value is None:
        return None
    sizes = one.better == "zero"
    if sizes and not found.exact and (p_nearer is None or p_nearer >= ALPHA):
        return None
    rise = abs(other.value) - abs(one.value) if sizes else found.value
    return found.pair[int((rise > 0) == (one.better == "higher"))] if rise else None


def _of_worst(metric: str, facets: Sequence[str], changes: Changes) -> Changes:
    """The worst facet of each of two runs, which need not be the same, as one metric of both.

    Where sizes are compared a facet below zero is turned around, so that its mean is its size.
    """
    one, other = ({metric: _worst([run[facet] for facet in facets])} for run in (changes.model, changes.other))
    return Changes(one, other, changes.seed)


def _worst(facets: Sequence[Estimate]) -> Estimate:
    better = facets[0].better
    known = [each for each in facets if math.isfinite(each.value)] or facets
    if better == "zero":
        found = max(known, key=lambda each: abs(each.value))
        sign = math.copysign(1.0, found.value)
        turned = {name: sign * value for name, value in found.cluster_values.items()}
        bounds = found.interval
        if bounds is not None and sign < 0:
            bounds = replace(bounds, low=-bounds.high, high=-bounds.low)
        return replace(found, value=abs(found.value), interval=bounds, cluster_values=turned)
    return (min if better == "higher" else max)(known, key=lambda each: each.value)


def _p_nearer(found: Estimate, changes: Changes) -> float | None:
    """Test "equally far from zero", which is "equal, or opposite": both must be refuted (Berger 1982)."""
    if found.p_value is None:
        return None
    one, other = (each[found.metric].cluster_values for each in (changes.model, changes.other))
    sums = np.array([value + other[name] for name, value in one.items() if name in other])
    return max(found.p_value, sign_flip(sums[np.isfinite(sums)], changes.seed))


def _bounds(found: Interval | None) -> tuple[float | None, float | None, str]:
    return (found.low, found.high, found.method) if found else (None, None, "none")


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
