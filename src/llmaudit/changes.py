"""Paired differences of estimates that two models gave to the same requests, cluster by cluster."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import SCALES
from llmaudit.gaps import LEVEL, proportion_interval
from llmaudit.stats import hedges_g_paired, sign_flip, t_interval, worst_of
from llmaudit.types import Better, Estimate, Interval

__all__ = ["Changes", "facets_of"]

Estimates = Mapping[str, Estimate]

#: Digits of an exact number that are no rounding of the arithmetic.
_DIGITS = 12


def facets_of(metric: str, metrics: Sequence[str]) -> list[str]:
    """The facets of a metric; none where it is one itself."""
    return [name for name in metrics if name.startswith(f"{metric}.")] if "." not in metric else []


@dataclass(frozen=True, slots=True)
class Changes:
    """The estimates of a model and of another, measured by the same requests; a change is the other minus the model."""

    model: Estimates
    other: Estimates
    seed: int

    def of(self, name: str) -> Estimate:
        """Return the change of a metric that both have, as an estimate of that name.

        The change is taken within clusters and averaged over those that both have. The change of a metric that is the
        worst of its facets is the worst change of a facet: which facet is the worst may itself change.
        """
        return self.joined(name, self.parts(name))

    def parts(self, name: str) -> list[Estimate]:
        """Return the changes that the change of a metric is the worst of, on simultaneous intervals; else itself."""
        facets = self.behind(name)
        if not facets:
            return [self._paired(name)]
        # Nobody reads the p-values of so many facets, and they take a while.
        found = [self._paired(facet, tested=False) for facet in facets]
        return [
            replace(each, interval=each.interval and self._interval(facet, len(facets)))
            for facet, each in zip(facets, found, strict=True)
        ]

    def joined(self, name: str, parts: Sequence[Estimate]) -> Estimate:
        """Return the change of a metric from its `parts`, which take a while."""
        return self._worst(name, parts) if self.behind(name) else parts[0]

    def behind(self, name: str) -> list[str]:
        """Return the facets that a metric is the worst of; none where it is no such worst."""
        facets = facets_of(name, [each for each in self.model if each in self.other])
        # The bare name of some kinds is no worst facet but all items together. That may be as bad as a facet by chance,
        # as where nothing failed, but hardly in both.
        worst = all(any(_same(run[name], run[facet]) for facet in facets) for run in (self.model, self.other))
        return facets if worst else []

    def _paired(self, name: str, *, tested: bool = True) -> Estimate:
        before, after = self.model[name], self.other[name]
        pairs = self._pairs(name)
        judged = not before.deterministic and pairs.size > 0
        return Estimate(
            metric=name,
            value=float(pairs.mean()) if judged else _minus(after.value, before.value),
            interval=self._interval(name) if judged else None,
            unit=before.unit,
            better=before.better,
            n=min(before.n, after.n),
            clusters=int(pairs.size) or min(before.clusters, after.clusters),
            missing=max(before.missing, after.missing),
            deterministic=before.deterministic,
            p_value=sign_flip(pairs, self.seed) if judged and tested else None,
            effect_size=hedges_g_paired(pairs) if judged else None,
            problem=before.problem or after.problem or self._unjudged(name),
            cluster_values=self._changes(name),
        )

    def _worst(self, name: str, found: Sequence[Estimate]) -> Estimate:
        better: Better = found[0].better
        worst = worst_of([each.interval for each in found], [each.value for each in found], better)
        return replace(
            found[worst.facet],
            metric=name,
            value=worst.value,
            interval=worst.interval,
            better="lower" if better == "zero" else better,
            clusters=min(estimate.clusters for estimate in found),
            missing=max(estimate.missing for estimate in found),
            p_value=None,
            effect_size=None,
            # A facet that cannot be judged may have changed most.
            problem=next((estimate.problem for estimate in found if estimate.problem), None),
        )

    def _unjudged(self, name: str) -> str | None:
        """Why a change has nothing to be judged by."""
        before, after = self.model[name], self.other[name]
        if not before.deterministic and not self._pairs(name).size:
            return "this metric has no value per cluster that its change could be judged by"
        if _odd(before) or _odd(after):
            return "its values per cluster are no parts of a mean, so that no pairs can be made"
        return "nothing could be measured" if math.isnan(before.value + after.value) else None

    def _interval(self, name: str, tests: int = 1) -> Interval | None:
        """The interval of a change, such that as many as there are tests hold together (Bonferroni)."""
        pairs, level = self._pairs(name), 1 - (1 - LEVEL) / tests
        metric = self.model[name]
        # Where a share is rare it changes in no cluster, which is no proof that it never does: a t interval would have
        # no width.
        if metric.unit in SCALES:
            # A share can change by the whole, a difference of two shares by twice that.
            reach = SCALES[metric.unit] * (2 if metric.better == "zero" else 1)
            found = proportion_interval(pairs / reach, level)
            found = found and replace(found, low=found.low * reach, high=found.high * reach)
        else:
            found = t_interval(pairs, level)
        if found is None or tests == 1:
            return found
        return replace(found, level=LEVEL, method=f"{found.method} (Bonferroni over {tests})")

    def _changes(self, name: str) -> dict[str, float]:
        before, after = self.model[name].cluster_values, self.other[name].cluster_values
        return {cluster: after[cluster] - value for cluster, value in before.items() if cluster in after}

    def _pairs(self, name: str) -> NDArray[np.float64]:
        return np.array([change for change in self._changes(name).values() if math.isfinite(change)], dtype=np.float64)


def _same(metric: Estimate, facet: Estimate) -> bool:
    """Whether a metric is this facet of it; a worst facet may have lost its sign."""
    one, other = metric.cluster_values, facet.cluster_values
    if one.keys() != other.keys():
        return False
    mine, theirs = (np.array([abs(each.value), *each.cluster_values.values()]) for each in (metric, facet))
    return bool(np.array_equal(mine, theirs, equal_nan=True))


def _minus(after: float, before: float) -> float:
    """Subtract two exact numbers, without the digits that only rounding gave: 1.1 - 1.0 is 0.1."""
    change, largest = after - before, max(abs(after), abs(before))
    return round(change, _DIGITS - math.ceil(math.log10(largest))) if largest and math.isfinite(change) else change


def _odd(estimate: Estimate) -> bool:
    """Whether the clusters of an estimate cannot stand for it: some metrics are no mean of theirs."""
    values = [value for value in estimate.cluster_values.values() if math.isfinite(value)]
    if estimate.deterministic or not values or math.isnan(estimate.value):
        return False
    mean, interval = sum(values) / len(values), estimate.interval
    # The worst of signed facets has lost its sign.
    means = (mean, abs(mean))
    near = any(math.isclose(each, estimate.value, rel_tol=1e-6, abs_tol=1e-12) for each in means)
    return not near and not (interval is not None and any(interval.low <= each <= interval.high for each in means))
