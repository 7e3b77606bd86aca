"""Launches as a machine gave them back, for what is built on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.launches import (
    Ceilings,
    Largest,
    LaunchResult,
    LaunchSpec,
    Outcome,
    Repetition,
    Shape,
    Timed,
    Workload,
)

__all__ = ["Recording", "result", "spec"]

SMALL = Workload(1, 64, 3)


def spec(arm: str = "model", number: int = 0, device: str = "cpu", model: str = "m") -> LaunchSpec:
    """What a launch may be asked."""
    return LaunchSpec(arm, number, EngineOptions(model, device=device), (SMALL, Workload(4, 64, 3)))


def result(asked: LaunchSpec) -> LaunchResult:
    """What SmolLM2 answered on two cores, shortened."""
    return LaunchResult(
        arm=asked.arm,
        number=asked.number,
        import_seconds=2.1,
        load_seconds=0.5,
        timed=tuple(
            Timed(
                each,
                (Repetition(0.09, (0.031, 0.033), 0.154),) * 3,
                3,
                steady=True,
                prompt_characters=280,
                characters=12,
                bytes=13,
            )
            for each in asked.workloads
        ),
        unfit=(Workload(512, 64, 3),),
        memory={
            "imported": {"rss": 388, "uss": 286},
            "loaded": {"rss": 464, "uss": 352},
            "peak": {"rss": 1008, "uss": None},
        },
        parameters=134_515_008,
        parameter_bytes=538_060_288,
        cache=((64, 2_949_120), (128, 5_898_240)),
        shape=Shape(30, 9, 3, 64, 4),
        largest=Largest(6, "memory", {1: True, 2: True, 4: True, 8: False, 6: True, 7: False}),
        ceilings=Ceilings(11e9, 150e9),
        busy=0.02,
        facts={"device": "cpu", "threads": 2, "clock_mhz": None},
        remarks=("b1-p64-n3: not steady",),
    )


@dataclass(slots=True)
class Recording:
    """A runner that gives back what was recorded, in turn; by default a good result for everything."""

    outcomes: Sequence[Outcome | None] = ()
    asked: list[LaunchSpec] = field(default_factory=list)
    prepared: list[LaunchSpec] = field(default_factory=list)
    discarded: int = 0

    def prepare(self, specs: Sequence[LaunchSpec]) -> None:
        """Note which launches were made ready."""
        self.prepared += specs

    def discard(self) -> None:
        """Note that what was made ready is not needed any more."""
        self.discarded += 1

    def __call__(self, asked: LaunchSpec) -> Outcome:
        """Give the next one; None stands for a good result."""
        self.asked.append(asked)
        place = len(self.asked) - 1
        found = self.outcomes[place] if place < len(self.outcomes) else None
        return found if found is not None else result(asked)
