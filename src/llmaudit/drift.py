"""What another form of the model changes: the paired difference of every estimate between a variant and the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmaudit.stats import hedges_g_paired, sign_flip, simultaneous_t_intervals, t_interval, worst_of
from llmaudit.types import Better, Estimate

__all__ = ["Drift", "drift_name", "facets_of"]

LEVEL = 0.90

Estimates = Mapping[str, Estimate]


def drift_name(variant: str, metric: str) -> str:
    """What the change of a metric under a variant is called."""
    return f"drift.{variant}.{metric}"


def facets_of(metric: str, metrics: Sequence[str]) -> list[str]:
    """The facets of a metric; none where it is one itself."""
    return [name for name in metrics if name.startswith(f"{metric}.")] if "." not in metric else []


@dataclass(frozen=True, slots=True)
class Drift:
    """The estimates of a model and of a variant, measured by the same requests."""

    variant: str
    model: Estimates
    other: Estimates
    seed: int

    def estimates(self) -> dict[str, Estimate]:
        """The change of every metric, variant minus model, under its drift name.

        The change is taken within clusters and averaged over those that both have. The change of a metric that is the
        worst of its facets is the worst change of a facet: which facet is the worst may itself change.
        """
        names = list(self.model)
        return {drift_name(self.variant, name): self._change(name, facets_of(name, names)) for name in names}

    def _change(self, name: str, facets: Sequence[str]) -> Estimate:
        facets = [facet for facet in facets if self.model[facet].cluster_values]
        interval = self.model[name].interval
        # A bare name may also be all of a metric's items together, whose change is its own.
        worst = interval is not None and interval.method.startswith("worst of facets")
        return self._worst(name, facets) if facets and worst else self._paired(name)

    def _paired(self, name: str) -> Estimate:
        before, after = self.model[name], self.other[name]
        pairs = self._pairs(name)
        value = float(pairs.mean()) if pairs.size else after.value - before.value
        judged = not before.deterministic and pairs.size > 0
        problem = before.problem or after.problem
        if problem is None and not judged and not before.deterministic:
            problem = "this metric has no value per cluster that its change could be judged by"
        return Estimate(
            metric=drift_name(self.variant, name),
            value=value,
            interval=t_interval(pairs, LEVEL) if judged else None,
            unit=before.unit,
            better=before.better,
            n=min(before.n, after.n),
            clusters=int(pairs.size) or min(before.clusters, after.clusters),
            missing=max(before.missing, after.missing),
            deterministic=before.deterministic,
            p_value=sign_flip(pairs, self.seed) if judged else None,
            effect_size=hedges_g_paired(pairs) if judged else None,
            problem=problem,
            cluster_values=self._changes(name),
            details={"model": before.value, "variant": after.value},
        )

    def _worst(self, name: str, facets: Sequence[str]) -> Estimate:
        found = [self._paired(facet) for facet in facets]
        intervals = simultaneous_t_intervals([self._pairs(facet) for facet in facets], LEVEL)
        better: Better = found[0].better
        worst = worst_of(intervals, [estimate.value for estimate in found], better)
        facet = found[worst.facet]
        return Estimate(
            metric=drift_name(self.variant, name),
            value=worst.value,
            interval=worst.interval,
            unit=facet.unit,
            better="lower" if better == "zero" else better,
            n=facet.n,
            clusters=min(estimate.clusters for estimate in found),
            missing=max(estimate.missing for estimate in found),
            deterministic=facet.deterministic,
            problem=next((estimate.problem for estimate in found if estimate.problem), None),
            cluster_values=facet.cluster_values,
            details={"model": self.model[name].value, "variant": self.other[name].value},
        )

    def _changes(self, name: str) -> dict[str, float]:
        before, after = self.model[name].cluster_values, self.other[name].cluster_values
        return {cluster: after[cluster] - value for cluster, value in before.items() if cluster in after}

    def _pairs(self, name: str) -> NDArray[np.float64]:
        return np.array([change for change in self._changes(name).values() if math.isfinite(change)], dtype=np.float64)
