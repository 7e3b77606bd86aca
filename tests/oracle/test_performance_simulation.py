"""Gates on speed under the noise of shared machines: a model against itself, and against a slower one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from llmaudit.performance.observations import Observations
from llmaudit.performance.ratios import ratio_estimates
from llmaudit.stats import Limit, judge
from llmaudit.types import Estimate, Verdict
from tests.unit.performance.machines import Launching, Machine, performance

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


def gate(seed: int, noise: Callable[[random.Random], float], slowdown: float = 1.0, drift: float = 0.0) -> Estimate:
    """The ratio that an audit with the default number of launches finds."""
    machine = Machine(slower={"half": slowdown}, noise=noise, drift=drift, seed=seed)
    audit = performance(machine, new_tokens=4, repetitions=1)
    specs = list(audit.plan(Launching()).specs())
    seen = Observations.gathered([spec.arm for spec in specs], [machine(spec) for spec in specs], 1.0)
    return ratio_estimates(seen, "model", ["half"], audit.params.workloads, seed)["speed_ratio.half"]


@pytest.mark.parametrize("noise", [steady, shared])
def test_a_model_against_itself_fails_at_most_one_gate_in_twenty(noise: Callable[[random.Random], float]) -> None:
    found = [gate(seed, noise) for seed in range(GATES)]
    assert [judge(each, LIMIT).verdict for each in found].count(Verdict.FAIL) <= GATES / 20
    held = sum(each.interval is not None and each.interval.low <= 1 <= each.interval.high for each in found)
    assert held >= 0.83 * GATES  # 90 % within the error of a hundred


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
