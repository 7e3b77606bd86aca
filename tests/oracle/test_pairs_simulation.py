"""How often the verdict on a mean over pairs is right, where the truth is planted."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from llmaudit.audit import Metric
from llmaudit.likelihood.estimates import Column, estimate_of
from llmaudit.stats import Limit, judge, power_of_pass
from llmaudit.types import Estimate

CLUSTERS, PAIRS, LIMIT = 12, 4, 0.5
BETWEEN, WITHIN = 0.6, 1.0
SD = math.sqrt(BETWEEN**2 + WITHIN**2 / PAIRS)
METRIC = Metric("a mean", "nats", "zero")
REPEATS = 1000


def drawn(rng: np.random.Generator, truth: float, clusters: int, null: float | None) -> Estimate:
    """The estimate of one simulated audit, whose pairs are alike within their clusters."""
    names = tuple(f"c{number}" for number in range(clusters) for _ in range(PAIRS))
    means = truth + BETWEEN * rng.normal(size=clusters)
    differences = np.repeat(means, PAIRS) + WITHIN * rng.normal(size=clusters * PAIRS)
    return estimate_of("m", METRIC, Column(differences, names, null=null), seed=0)


def verdicts(truth: float, clusters: int = CLUSTERS) -> Counter[str]:
    """Verdicts on simulated audits of parity within LIMIT."""
    rng = np.random.default_rng(7)
    estimates = (drawn(rng, truth, clusters, None) for _ in range(REPEATS))
    return Counter(judge(estimate, Limit(max=LIMIT)).verdict.value for estimate in estimates)


def near(count: int, probability: float) -> bool:
    """Within three standard errors of a count of REPEATS."""
    return abs(count / REPEATS - probability) <= 3 * math.sqrt(probability * (1 - probability) / REPEATS) + 0.002


def test_a_model_that_treats_groups_alike_fails_no_check_beyond_alpha() -> None:
    assert verdicts(0.0)["fail"] <= 0.05 * REPEATS


def test_at_the_limit_false_passes_and_false_fails_keep_to_alpha() -> None:
    found = verdicts(LIMIT)
    assert near(found["pass"], 0.05)
    assert near(found["fail"], 0.05)


@pytest.mark.parametrize("clusters", [12, 24])
def test_a_gap_of_twice_the_limit_is_found_at_the_computed_power(clusters: int) -> None:
    found = verdicts(2 * LIMIT, clusters)
    assert near(found["fail"], power_of_pass(-2 * LIMIT, -LIMIT, SD, clusters))
    assert found["pass"] <= 0.001 * REPEATS


def test_the_p_value_of_no_difference_is_uniform() -> None:
    rng = np.random.default_rng(8)
    p_values = [drawn(rng, 0.0, 10, 0.0).p_value for _ in range(300)]
    for level in (0.05, 0.25, 0.5):
        share = sum(p is not None and p <= level for p in p_values) / 300
        assert abs(share - level) <= 3 * math.sqrt(level * (1 - level) / 300)
