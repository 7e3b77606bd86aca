"""Whole bias audits on models whose true gap is known: how often the verdict is wrong.

Templates differ in their level and in their true group difference, as in docs/statistics.md section 0.1; the answers
are numbers, and their scorer reads them. Everything between the requests and the verdict is the real code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llmaudit import gaps
from llmaudit.audits.bias import Bias
from llmaudit.engines.fake import FakeEngine
from llmaudit.execution import Execution
from llmaudit.groupwise import distributions
from llmaudit.stats import (
    Limit,
    clopper_pearson,
    judge,
    permutation_null_worst_gap,
    power_of_pass,
    wasserstein_excess,
)
from llmaudit.types import Estimate, Generate, Request

ALPHA = 0.05
REPEATS = 300
LIMIT = 0.5
LEVEL_SD, DIFFERENCE_SD, RESIDUAL_SD = 0.7, 0.3, 1.0

#: Draws the true mean of every cell of one audit: shape (templates, groups).
Cells = Callable[[np.random.Generator], NDArray[np.float64]]


class Number:
    """Reads the number that an answer is."""

    name = "number"
    version = "1"
    description = "the number"
    sees_terms = False

    def __init__(self, unit: str = "points") -> None:
        self.unit = unit

    def score(self, texts: Sequence[str]) -> list[float]:
        return [float(text) for text in texts]


def error(rate: float) -> float:
    """Three Monte-Carlo standard errors of a rate."""
    return 3 * math.sqrt(rate * (1 - rate) / REPEATS)


@pytest.fixture(autouse=True)
def fewer_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    # The p-values stand beside the verdict and do not decide it; with 9,999 permutations each they would take minutes.
    # (That of a pair is simulated in test_stats_simulation.py.)
    monkeypatch.setattr(gaps, "sign_flip", lambda *_: 1.0)
    monkeypatch.setattr(gaps, "permutation_null_worst_gap", partial(permutation_null_worst_gap, resamples=99))
    monkeypatch.setattr(distributions, "wasserstein_excess", partial(wasserstein_excess, resamples=99))
    # The bound on what was never seen is the same in every audit here.
    monkeypatch.setattr(gaps, "clopper_pearson", cache(clopper_pearson))


def audit(groups: int, templates: int, samples: int, unit: str = "points") -> Bias:
    scorer = Number(unit)
    params = {
        "kind": "bias",
        "groups": {f"g{number}": {"noun": f"people of group {number}"} for number in range(groups)},
        "templates": [f"In town {number}, {{group}} often" for number in range(templates)],
        "samples": samples,
        "scorers": ["number"],
        "checks": {"number_gap": {"max": LIMIT}},
    }
    scorers = {"number": scorer}
    return Bias(Bias.Params.model_validate(params, context={"scorers": scorers}), scorers=scorers)


def numbers(cells: Cells, rng: np.random.Generator, samples: int, *, binary: bool) -> NDArray[np.float64]:
    """Draw the answers of one audit, shape (templates, groups, samples), which is the order of the requests."""
    means = cells(rng)[:, :, None]
    shape = (*means.shape[:2], samples)
    return (rng.random(shape) < means).astype(float) if binary else means + rng.normal(0, RESIDUAL_SD, shape)


def simulate(
    bias: Bias, cells: Cells, *, seed: int, binary: bool = False, repeats: int = REPEATS
) -> list[Mapping[str, Estimate]]:
    """Audit so many models."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(repeats):
        drawn = iter(numbers(cells, rng, bias.params.samples, binary=binary).ravel().tolist())

        def answer(request: Request, drawn: Any = drawn) -> str:
            assert isinstance(request, Generate)
            return repr(next(drawn))

        samples = Execution(FakeEngine(answer), lambda _: FakeEngine(), lambda _, __: None).answer(bias.requests())
        found.append(bias.measure(samples).estimates)
    return found


def normal(effects: Sequence[float], templates: int) -> Cells:
    """Groups that differ by these amounts on average over templates."""

    def draw(rng: np.random.Generator) -> NDArray[np.float64]:
        level = rng.normal(0, LEVEL_SD, (templates, 1))
        own = rng.normal(0, DIFFERENCE_SD / math.sqrt(2), (templates, len(effects)))
        return np.asarray(level + own + np.array(effects))

    return draw


def rates(audits: Sequence[Mapping[str, Estimate]], metric: str, limit: float) -> dict[str, float]:
    verdicts = [judge(estimates[metric], Limit(max=limit)).verdict.value for estimates in audits]
    return {verdict: verdicts.count(verdict) / len(verdicts) for verdict in ("pass", "fail", "inconclusive")}


@pytest.mark.parametrize(("groups", "templates"), [(2, 10), (3, 12)])
def test_groups_that_do_not_differ_do_not_fail(groups: int, templates: int) -> None:
    audits = simulate(audit(groups, templates, 5), normal([0.0] * groups, templates), seed=1)
    for metric in ("number_gap", "number_gap.g0-g1"):
        # Whatever the limit: a limit of nearly nothing is failed by an interval that lies on one side of zero, which is
        # what a test of "differs from zero" does, at 10 % from two sides of 5 % each.
        assert rates(audits, metric, LIMIT)["fail"] <= ALPHA
        assert rates(audits, metric, 1e-9)["fail"] <= 2 * ALPHA + error(2 * ALPHA)


def test_a_model_that_treats_groups_alike_fails_no_check_more_often_than_agreed() -> None:
    # Its answers are drawn anew for every group, as of an endpoint that takes no seed: the hardest case.
    def alike(rng: np.random.Generator) -> NDArray[np.float64]:
        return np.repeat(rng.normal(0, LEVEL_SD, (10, 1)), 2, axis=1)

    audits = simulate(audit(2, 10, 3), alike, seed=10, repeats=1000)
    allowed = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 1000)
    for metric in ("number_gap", "number_distribution_gap", "missing_rate"):
        # Against any limit at all, and the p-values hold their level.
        assert rates(audits, metric, LIMIT)["fail"] <= ALPHA
    assert rates(audits, "number_gap.g0-g1", 1e-9)["fail"] <= 2 * allowed
    assert rates(audits, "number_distribution_gap", 1e-9)["fail"] <= allowed
    p_values = np.array([estimates["number_distribution_gap"].p_value for estimates in audits])
    assert np.mean(p_values <= ALPHA) <= allowed
    excess = np.array([estimates["number_distribution_gap"].value for estimates in audits])
    assert abs(excess.mean()) < 4 * excess.std() / math.sqrt(1000)


def test_a_gap_of_twice_the_limit_is_found_with_the_power_that_was_computed() -> None:
    templates, samples = 12, 4
    audits = simulate(audit(2, templates, samples), normal([2 * LIMIT, 0.0], templates), seed=11)
    sd = math.sqrt(DIFFERENCE_SD**2 + 2 * RESIDUAL_SD**2 / samples)
    # To fail a limit from beyond it is as likely as to pass it from as far on the other side.
    power = power_of_pass(-2 * LIMIT, -LIMIT, sd, templates)
    assert 0.5 < power < 0.9
    assert rates(audits, "number_gap", LIMIT)["fail"] == pytest.approx(power, abs=error(power))


@pytest.mark.parametrize("templates", [10, 20])
def test_a_gap_as_large_as_the_limit_passes_at_most_as_often_as_agreed(templates: int) -> None:
    audits = simulate(audit(2, templates, 5), normal([LIMIT, 0.0], templates), seed=2)
    for metric in ("number_gap", "number_gap.g0-g1"):
        found = rates(audits, metric, LIMIT)
        assert found["pass"] <= ALPHA + error(ALPHA)
        assert found["fail"] <= ALPHA + error(ALPHA)
        assert found["inconclusive"] > 0.8


def test_the_worst_of_three_groups_as_large_as_the_limit() -> None:
    # The worst pair is picked after seeing the data; the simultaneous intervals pay for that.
    audits = simulate(audit(3, 12, 5), normal([LIMIT, LIMIT / 2, 0.0], 12), seed=3)
    found = rates(audits, "number_gap", LIMIT)
    assert found["pass"] <= ALPHA + error(ALPHA)
    assert found["fail"] <= ALPHA + error(ALPHA)
    # The estimate of a maximum is biased upward, which is why its null stands beside it.
    assert np.mean([estimates["number_gap"].value for estimates in audits]) > LIMIT


def test_what_is_planted_far_beyond_the_limit_is_found_and_what_is_not_there_passes() -> None:
    design = audit(2, 20, 5)
    large = simulate(design, normal([3 * LIMIT, 0.0], 20), seed=4, repeats=100)
    none = simulate(design, normal([0.0, 0.0], 20), seed=5, repeats=100)
    assert rates(large, "number_gap", LIMIT)["fail"] > 0.95
    assert rates(none, "number_gap", LIMIT)["pass"] > 0.75


def test_the_p_value_of_the_worst_gap_holds_its_level_though_a_maximum_is_biased() -> None:
    audits = simulate(audit(3, 12, 5), normal([0.0, 0.0, 0.0], 12), seed=6)
    small = np.mean([(estimates["number_gap"].p_value or 0) <= ALPHA for estimates in audits])
    assert small <= ALPHA + error(ALPHA)
    # Read without its null, the maximum would look like a gap: its mean is well above zero.
    assert np.mean([estimates["number_gap"].value for estimates in audits]) > 0.1
    expected = np.mean([estimates["number_gap"].details["null mean"] for estimates in audits])
    assert np.mean([estimates["number_gap"].value for estimates in audits]) == pytest.approx(expected, rel=0.1)


def test_common_rates_as_large_as_the_limit_pass_at_most_as_often_as_agreed() -> None:
    def cells(rng: np.random.Generator) -> NDArray[np.float64]:
        own = rng.beta(3, 7, (20, 1))  # three refusals in ten on average, more for some prompts than for others
        return np.concatenate([own, own * 2 / 3], axis=1)

    audits = simulate(audit(2, 20, 10, "proportion"), cells, seed=7, binary=True)
    found = rates(audits, "number_gap.g0-g1", 0.1)
    assert found["pass"] <= ALPHA + error(ALPHA)
    assert found["fail"] <= ALPHA + error(ALPHA)


def test_rare_refusals_of_one_group_as_many_as_the_limit_pass_at_most_as_often_as_agreed() -> None:
    # One group is refused one time in twenty, on some prompts more than on others; the other never. The limit is that
    # twentieth. Most templates show no refusal at all: a plain t interval is too short there and passes 11 %.
    def cells(rng: np.random.Generator) -> NDArray[np.float64]:
        return np.stack([rng.beta(0.25, 4.75, 24), np.zeros(24)], axis=1)

    audits = simulate(audit(2, 24, 10, "proportion"), cells, seed=8, binary=True)
    assert rates(audits, "number_gap.g0-g1", 0.05)["pass"] <= ALPHA + error(ALPHA)


def test_no_refusal_at_all_says_no_more_than_so_many_templates_can() -> None:
    bias = audit(2, 24, 10, "proportion")
    audits = simulate(bias, lambda _: np.zeros((24, 2)), seed=9, binary=True, repeats=1)
    bound = 1 - ALPHA ** (1 / 24)  # 11.7 %: so many templates may still have a refusal
    assert rates(audits, "number_gap.g0-g1", bound + 0.001)["pass"] == 1
    assert rates(audits, "number_gap.g0-g1", bound - 0.001)["inconclusive"] == 1
