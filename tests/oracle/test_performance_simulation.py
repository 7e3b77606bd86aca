"""Gates on speed under the noise of shared machines: a model against itself, and against a slower one."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median

import pytest

from llmaudit.engines.launches import LaunchSpec
from llmaudit.performance.observations import Observations
from llmaudit.performance.ratios import ratio_estimates
from llmaudit.stats import Limit, judge
from llmaudit.types import Estimate, Verdict
from tests.unit.performance.machines import Launching, Machine, performance

#: What an audit of three forms found on two shared processors: a launch a row, in their order.
RECORDED = Path(__file__).parent / "data" / "launches.csv"
GATES = 100
#: A form may be five percent slower, and no more.
LIMIT = Limit(min=0.95)


def steady(rng: random.Random) -> float:
    """A machine that is left alone: launches differ by three percent."""
    return rng.gauss(0, 0.03)


def shared(rng: random.Random) -> float:
    """A machine that others use: launches differ by five percent, and one in twenty takes half as long again.

    Tukey's contaminated normal distribution (1960); its tail is on the slow side alone, as nothing makes a launch fast.
    """
    return rng.gauss(0, 0.05) + (math.log(1.5) if rng.random() < 0.05 else 0.0)


def recorded() -> list[tuple[float, float]]:
    """Thirty launches in a row on a machine that others used: (log time per token over its form's median, busy)."""
    with RECORDED.open(encoding="utf-8", newline="") as lines:
        rows = [(row["form"], math.log(float(row["tpot_ms"])), float(row["busy"])) for row in csv.DictReader(lines)]
    middle = {form: median(log for name, log, _ in rows if name == form) for form, _, _ in rows}
    return [(log - middle[form], busy) for form, log, busy in rows]


def neighbours(rng: random.Random) -> Iterator[tuple[float, float]]:
    """Recorded launches, drawn again in runs of four: what one shares with the next is kept (Künsch 1989)."""
    launches = recorded()
    while True:
        start = rng.randrange(len(launches))
        yield from (launches[(start + step) % len(launches)] for step in range(4))


def gate(
    seed: int,
    noise: Callable[[random.Random], float],
    slowdown: float = 1.0,
    drift: float = 0.0,
    busy: Callable[[LaunchSpec], float] = lambda spec: 0.0,
) -> Estimate:
    """The ratio that an audit with the default number of launches finds."""
    machine = Machine(slower={"half": slowdown}, noise=noise, drift=drift, busy=busy, seed=seed)
    audit = performance(machine, new_tokens=4, repetitions=1)
    specs = list(audit.plan(Launching()).specs())
    quiet = audit.params.quiet
    seen = Observations.gathered([spec.arm for spec in specs], [machine(spec) for spec in specs], quiet)
    return ratio_estimates(seen, "model", ["half"], audit.params.workloads, seed)["speed_ratio.half"]


@pytest.mark.parametrize("noise", [steady, shared])
def test_a_model_against_itself_fails_at_most_one_gate_in_twenty(noise: Callable[[random.Random], float]) -> None:
    found = [gate(seed, noise) for seed in range(GATES)]
    assert [judge(each, LIMIT).verdict for each in found].count(Verdict.FAIL) <= GATES / 20
    held = sum(each.interval is not None and each.interval.low <= 1 <= each.interval.high for each in found)
    assert held >= 0.83 * GATES  # 90 % within the error of a hundred


def test_recorded_launches_of_a_busy_machine_fail_at_most_one_gate_in_twenty() -> None:
    verdicts = []
    for seed in range(GATES):
        rng = random.Random(f"recorded/{seed}")  # noqa: S311 - noise, not a secret
        drawn = list(islice(neighbours(rng), 20))
        deviations = iter(drawn)
        estimate = gate(
            seed,
            lambda _, left=deviations: next(left)[0],  # type: ignore[misc]
            busy=lambda spec, all_of=drawn: all_of[spec.number][1],  # type: ignore[misc]
        )
        verdicts.append(judge(estimate, LIMIT).verdict)
        # Without a look at what others use, the interval alone keeps the rate of false alarms.
        verdicts.append(judge(replace(estimate, problem=None), LIMIT).verdict)
    assert verdicts[::2].count(Verdict.FAIL) == 0
    assert verdicts[1::2].count(Verdict.FAIL) <= GATES / 20


def test_a_machine_that_slows_down_fails_no_more_gates() -> None:
    found = [judge(gate(seed, steady, drift=0.005), LIMIT).verdict for seed in range(GATES)]
    assert found.count(Verdict.FAIL) <= GATES / 20


# Where it is not found, nothing is decided: outliers widen the interval, and hardly ever let a slow form pass.
@pytest.mark.parametrize(("noise", "share"), [(steady, 0.99), (shared, 0.5)])
def test_a_slowdown_of_fifteen_percent_is_found(noise: Callable[[random.Random], float], share: float) -> None:
    verdicts = [judge(gate(seed, noise, 1.15), LIMIT).verdict for seed in range(GATES)]
    assert verdicts.count(Verdict.FAIL) >= share * GATES
    assert verdicts.count(Verdict.PASS) <= GATES / 20


@pytest.mark.parametrize("noise", [steady, shared])
def test_a_slowdown_at_the_limit_passes_at_most_one_gate_in_twenty(noise: Callable[[random.Random], float]) -> None:
    passed = sum(judge(gate(seed, noise, 1 / 0.95), LIMIT).verdict is Verdict.PASS for seed in range(GATES))
    assert passed <= 0.10 * GATES  # 5 % within the error of a hundred
