"""What every comparison of likelihoods offers to its kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from llmaudit.audit import Measurement, Metric
from llmaudit.types import Sample, Score

__all__ = ["Experiment", "Size"]


@dataclass(frozen=True, slots=True)
class Size:
    """How much data a metric has, known before anything runs."""

    items: int
    clusters: int
    centre: float | None = None
    """For a share in percent, the value that means "no difference"; None for any other metric."""
    bootstrapped: bool = False
    """Whether only a bootstrap gives an interval."""


class Experiment(Protocol):
    """A comparison of likelihoods over items: pure, ordered, seeded."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Every metric with its facets."""

    @property
    def sizes(self) -> Mapping[str, Size]:
        """Metric -> how much data it has."""

    @property
    def items(self) -> int:
        """Number of pairs, items or questions."""

    def requests(self) -> Iterator[Score]:
        """Yield what to ask, each text once."""

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Turn answers into estimates."""
