"""What another form of the model changes: the paired difference of every estimate between a variant and the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from llmaudit.audit import drift_name
from llmaudit.changes import Changes
from llmaudit.types import Estimate

__all__ = ["Drift"]


@dataclass(frozen=True, slots=True)
class Drift:
    """The estimates of a model and of a variant, measured by the same requests."""

    variant: str
    model: Mapping[str, Estimate]
    other: Mapping[str, Estimate]
    seed: int

    def estimates(self) -> dict[str, Estimate]:
        """The change of every metric, variant minus model, under its drift name (see `Changes.of`)."""
        changes = Changes(self.model, self.other, self.seed)
        return dict(self._named(metric, changes) for metric in self.model)

    def _named(self, metric: str, changes: Changes) -> tuple[str, Estimate]:
        name = drift_name(self.variant, metric)
        details = {"model": self.model[metric].value, "variant": self.other[metric].value}
        return name, replace(changes.of(metric), metric=name, details=details)
