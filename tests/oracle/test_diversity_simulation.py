"""How often a trend of diversity is claimed where there is none, and found where there is one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmaudit.diversity.levels import Measure, Measured, level_estimates, trend_estimates
from llmaudit.stats import Limit, judge
from llmaudit.stats.diversity import distinct, ngram_kernel, vendi
from llmaudit.types import Verdict

AUDITS = 500
LEVELS = ("0.1", "0.7", "1.2")
MEASURE = Measure("vendi", "number of different answers", "answers", "higher")
RARE = Measure("empty", "share of empty answers", "proportion", "lower", events=True)


def measured(table: np.ndarray[tuple[int, int], np.dtype[np.float64]], measure: Measure = MEASURE) -> Measured:
    prompts = tuple(str(row) for row in range(len(table)))
    return Measured(measure, prompts, LEVELS, (), table, (8 * len(table),) * 3, 8 * len(table))


def most(rate: float) -> float:
    """Return a rate with three Monte-Carlo standard errors on top."""
    return rate + 3 * math.sqrt(rate * (1 - rate) / AUDITS)


@pytest.mark.parametrize("prompts", [10, 24])
@pytest.mark.parametrize("ties", [False, True], ids=["continuous", "tied"])
def test_a_trend_is_rarely_claimed_where_there_is_none(prompts: int, ties: bool) -> None:
    rng = np.random.default_rng([prompts, ties])
    passed = significant = 0
    for _ in range(AUDITS):
        # Prompts differ in how diverse their answers are; levels do not.
        table = rng.normal(4, 1, (prompts, 1)) + rng.normal(0, 0.5, (prompts, 3))
        found = trend_estimates([measured(np.round(table) if ties else table)], seed=0)["trend.vendi"]
        passed += judge(found, Limit(min=0)).verdict is Verdict.PASS
        significant += found.p_value is not None and found.p_value < 0.05
    assert passed / AUDITS <= most(0.05)
    assert significant / AUDITS <= most(0.05)


def test_a_trend_that_is_there_is_found() -> None:
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(200):
        table = rng.normal(4, 1, (24, 1)) + np.array([0.0, 1.0, 2.0]) + rng.normal(0, 0.5, (24, 3))
        found = trend_estimates([measured(table)], seed=0)["trend.vendi"]
        passed += judge(found, Limit(min=0.5)).verdict is Verdict.PASS
    assert passed / 200 > 0.9


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_the_interval_of_a_share_holds_the_truth(share: float) -> None:
    rng = np.random.default_rng(int(share * 100))
    held, audits = 0, 300
    for _ in range(audits):
        # Prompts differ in their own share, around the one that is asked for.
        own = rng.beta(3 * share, 3 * (1 - share), (24, 1))
        table = rng.binomial(8, np.broadcast_to(own, (24, 3))) / 8
        interval = level_estimates(measured(table, RARE))["empty.0.7"].interval
        assert interval is not None
        held += interval.low <= share <= interval.high
    assert held / audits >= 0.9 - 3 * math.sqrt(0.9 * 0.1 / audits)


def test_texts_of_a_hotter_sampler_read_as_more_diverse() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 200)
    found = []
    for temperature in (0.1, 0.7, 1.2):
        weights = np.exp(logits / temperature - (logits / temperature).max())
        draws = rng.choice(200, (8, 24), p=weights / weights.sum())
        texts = [" ".join(f"w{token}" for token in row) for row in draws]
        found.append((distinct(texts, 2), vendi(ngram_kernel(texts))))
    assert found == sorted(found)
    assert found[0][1] < 2 < found[2][1]
