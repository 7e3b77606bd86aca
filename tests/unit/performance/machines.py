"""Launches of a machine that is made up, with the noise of one that is not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llmaudit.audits.performance import Performance
from llmaudit.engines.base import EngineOptions
from llmaudit.engines.fake import FakeEngine
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
from llmaudit.execution import Execution
from llmaudit.performance.observations import Observations

MIB = 2**20
SHAPE = Shape(layers=30, heads=9, kv_heads=3, head_size=64, element_bytes=4)


@dataclass(slots=True)
class Machine:
    """Runs launches: a step takes 20 ms and 2 ms a text, a prompt 10 ms and 0.5 ms a token, times an arm's factor."""

    slower: Mapping[str, float] = field(default_factory=dict)
    """Arm -> factor on all its times."""
    memory: Mapping[str, float] = field(default_factory=dict)
    """Arm -> factor on its bytes."""
    noise: Callable[[random.Random], float] = lambda rng: rng.gauss(0, 0.03)
    """Draws the log of a launch's own factor."""
    holds: int = 1_000
    """Texts that its memory holds side by side."""
    drift: float = 0.0
    """By how much, in logs, the machine slows down from launch to launch."""
    busy: Callable[[LaunchSpec], float] = lambda spec: 0.01
    fails: Mapping[int, Outcome] = field(default_factory=dict)
    """Number of a launch -> what becomes of it instead."""
    seed: int = 0
    asked: list[LaunchSpec] = field(default_factory=list)

    def __call__(self, spec: LaunchSpec) -> Outcome:
        self.asked.append(spec)
        if spec.number in self.fails:
            return self.fails[spec.number]
        rng = random.Random(f"{self.seed}/{spec.number}")  # noqa: S311 - noise, not a secret
        factor = self.slower.get(spec.arm, 1.0) * math.exp(self.noise(rng) + self.drift * spec.number)
        size = self.memory.get(spec.arm, 1.0)
        return LaunchResult(
            arm=spec.arm,
            number=spec.number,
            import_seconds=2.0,
            load_seconds=0.5 * factor,
            timed=tuple(
                _timed(each, spec.repetitions, factor, rng) for each in spec.workloads if each.batch <= self.holds
            ),
            unfit=tuple(each for each in spec.workloads if each.batch > self.holds),
            memory={
                "loaded": {"rss": int(900 * MIB * size), "uss": int(700 * MIB * size)},
                "peak": {"rss": int((1000 + rng.random()) * MIB * size), "uss": None},
            },
            parameters=134_515_008,
            parameter_bytes=int(538_060_032 * size),
            cache=tuple((length, 1000 + 46_080 * length) for length in spec.cache_lengths),
            shape=SHAPE,
            largest=Largest(48, "memory", {48: True, 64: False}) if spec.largest else None,
            ceilings=Ceilings(2e10, 5e10) if spec.ceilings else None,
            busy_before=0.0,
            busy=self.busy(spec),
        )


class Launching(FakeEngine):
    """An engine whose model could be launched."""

    options = EngineOptions(model="fake")


def performance(machine: Machine | None = None, **changes: Any) -> Performance:
    """An audit whose launches run on a made-up machine."""
    params: dict[str, Any] = {
        "kind": "performance",
        "variants": {"half": {"dtype": "bfloat16"}},
        "checks": {"speed_ratio": {"min": 0.95}},
        **changes,
    }
    audit = Performance(Performance.Params.model_validate(params), scorers={}, seed=1)
    made = machine or Machine()
    audit.launched = lambda specs, wanted: map(made, filter(wanted, specs))  # type: ignore[method-assign]
    return audit


def observed(audit: Performance, machine: Machine) -> Observations:
    """What a machine makes of an audit, without waiting for it to be quiet."""
    specs = list(audit.plan(Launching()).specs())
    return Observations.gathered([spec.arm for spec in specs], [machine(spec) for spec in specs], audit.params.quiet)


def execution(engine: FakeEngine | None = None, *, smoke: bool = False) -> Execution:
    return Execution(engine or Launching(), lambda model: FakeEngine(name=model), lambda done, total: None, smoke=smoke)


def _timed(workload: Workload, repetitions: int, factor: float, rng: random.Random) -> Timed:
    found = []
    for _ in range(repetitions):
        own = factor * math.exp(rng.gauss(0, 0.01))
        ttft = own * (0.010 + 0.0005 * workload.prompt_tokens * workload.batch)
        steps = tuple(
            own * (0.020 + 0.002 * workload.batch) * math.exp(rng.gauss(0, 0.02))
            for _ in range(workload.new_tokens - 1)
        )
        found.append(Repetition(ttft, steps, ttft + sum(steps)))
    written = 4 * workload.batch * workload.new_tokens
    return Timed(
        workload, tuple(found), warm_ups=2, steady=True, prompt_characters=99, characters=written, bytes=written
    )
