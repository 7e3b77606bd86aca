"""The launches of an experiment: which forms of a model, which workloads, in which order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from llmaudit.engines.base import EngineOptions, Variant
from llmaudit.engines.launches import LaunchSpec, Workload
from llmaudit.performance.schedule import launch_order

__all__ = ["Arm", "Plan"]


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the compared forms: a model, a way to load it, a number of threads."""

    name: str
    variant: Variant = field(default_factory=Variant)
    threads: int | None = None
    """None leaves them to torch."""

    def options(self, own: EngineOptions) -> EngineOptions:
        """How it is loaded, given how the model under audit is."""
        asked = self.variant
        other = asked.model is not None
        return replace(
            own,
            model=asked.model or own.model,
            dtype=asked.dtype or own.dtype,
            quantization=asked.quantization or (None if other else own.quantization),
            revision=None if other else own.revision,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """All launches of an experiment."""

    options: EngineOptions
    """Of the model under audit; an arm changes what its variant names."""
    arms: tuple[Arm, ...]
    """The model itself first, by convention; every arm has its own name."""
    workloads: tuple[Workload, ...]
    launches: int = 10
    """Per arm; an even number is balanced against drift."""
    repetitions: int = 5
    cache_lengths: tuple[int, ...] = ()
    """Weighed in the first launch of every arm."""
    largest: Workload | None = None
    """Searched in the first launch of every arm; its `batch` is where the search ends."""
    seed: int = 0

    def specs(self) -> Iterator[LaunchSpec]:
        """Yield the launches in their order: workloads in a random order each, extras where they are due.

        What a device can do at most is measured in the first launch of every arm, since it depends on the data type.
        """
        arms: Mapping[str, Arm] = {arm.name: arm for arm in self.arms}
        seen: set[str] = set()
        for number, name in enumerate(launch_order(list(arms), self.launches, self.seed)):
            arm, first = arms[name], name not in seen
            seen.add(name)
            order = random.Random(f"{self.seed}/{number}")  # noqa: S311 - a design, not a secret
            yield LaunchSpec(
                arm=name,
                number=number,
                options=arm.options(self.options),
                workloads=tuple(order.sample(self.workloads, len(self.workloads))),
                repetitions=self.repetitions,
                threads=arm.threads,
                cache_lengths=self.cache_lengths if first else (),
                ceilings=first,
                largest=self.largest if first else None,
                seed=self.seed,
            )
