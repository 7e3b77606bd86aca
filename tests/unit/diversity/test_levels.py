"""From values per prompt and level to estimates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from llmaudit.diversity.levels import (
    Measure,
    Measured,
    change_estimates,
    change_metrics,
    level_estimates,
    level_metrics,
    neighbours,
    trend_estimates,
    trend_metrics,
)
from llmaudit.stats import Limit, judge

LEVELS = ("0.1", "0.7", "1.2")
MORE = Measure("vendi", "number of different answers", "answers", "higher")
LESS = Measure("self_bleu", "overlap", "BLEU points", "lower")
RARE = Measure("empty", "share of empty answers", "proportion", "lower", events=True)
SHARE = Measure("distinct_2", "unique pairs", "proportion", "higher", bound=1)


def measured(values: Any, measure: Measure = MORE, apart: tuple[str, ...] = (), problem: str | None = None) -> Measured:
    table = np.array(values, dtype=np.float64)
    prompts = tuple(f"prompt {row}" for row in range(len(table)))
    counts = tuple((8 * np.isfinite(table).sum(axis=0)).tolist())
    return Measured(measure, prompts, LEVELS, apart, table, counts, 8 * len(table), problem)


def rising(prompts: int = 12) -> Any:
    rng = np.random.default_rng(0)
    return np.array([1.0, 3.0, 6.0]) + rng.normal(0, 0.3, (prompts, 3))


def test_names_and_estimates_agree() -> None:
    pairs = neighbours(LEVELS)
    assert pairs == [("0.1", "0.7"), ("0.7", "1.2")]
    table = measured(np.hstack([rising(), rising()[:, :1]]), apart=("H2.0",))
    metrics = level_metrics(MORE, LEVELS, ["H2.0"]) | change_metrics(MORE, pairs) | trend_metrics([MORE, LESS])
    found = level_estimates(table) | change_estimates(table, pairs, seed=0)
    found |= trend_estimates([table, measured(rising(), LESS)], seed=0)
    assert set(found) == set(metrics)
    for name, estimate in found.items():
        metric = metrics[name]
        assert (estimate.metric, estimate.unit, estimate.better) == (name, metric.unit, metric.better)


def test_a_level_is_the_mean_over_prompts_with_a_t_interval() -> None:
    table = rising()
    found = level_estimates(measured(table))["vendi.0.7"]
    expected = stats.ttest_1samp(table[:, 1], 0).confidence_interval(0.90)
    assert found.value == pytest.approx(table[:, 1].mean())
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert (found.n, found.clusters, found.missing) == (96, 12, 0)
    assert found.cluster_values["prompt 0"] == table[0, 1]


def test_the_bare_name_is_the_worst_level_and_knows_no_level_apart() -> None:
    table = np.hstack([rising(), rising()[:, :1] - 5])
    found = level_estimates(measured(table, apart=("H2.0",)))
    assert found["vendi"].value == found["vendi.0.1"].value
    assert found["vendi.H2.0"].value < found["vendi"].value
    wide, narrow = found["vendi"].interval, found["vendi.0.1"].interval
    assert wide is not None
    assert narrow is not None
    assert wide.low < narrow.low
    assert level_estimates(measured(rising(), LESS))["self_bleu"].value == pytest.approx(rising()[:, 2].mean())


def test_a_change_is_taken_within_prompts() -> None:
    table = rising()
    found = change_estimates(measured(table), neighbours(LEVELS), seed=0)
    assert found["vendi_change.0.7-1.2"].value == pytest.approx((table[:, 2] - table[:, 1]).mean())
    assert found["vendi_change.0.7-1.2"].p_value == pytest.approx(2 / 2**12)
    assert found["vendi_change"].value == found["vendi_change.0.1-0.7"].value  # the smaller rise


def test_a_trend_is_kendalls_tau_towards_more_diversity_with_pages_p() -> None:
    table = rising()
    found = trend_estimates([measured(table), measured(-table, LESS)], seed=0)
    assert found["trend.vendi"].value == found["trend.self_bleu"].value == 1
    assert found["trend.vendi"].p_value == pytest.approx(stats.page_trend_test(table).pvalue)
    assert judge(found["trend"], Limit(min=0.5)).verdict.value == "pass"
    turned = trend_estimates([measured(table), measured(table, LESS)], seed=0)
    assert turned["trend"].value == turned["trend.self_bleu"].value == -1
    assert judge(turned["trend"], Limit(min=0.5)).verdict.value == "fail"


def test_a_trend_of_all_prompts_is_no_certainty() -> None:
    interval = trend_estimates([measured(rising(12))], seed=0)["trend.vendi"].interval
    assert interval is not None
    # The exact 95 % bound on the share of prompts that do not rise, where 0 of 12 do not.
    assert interval.high == 1
    assert interval.low == pytest.approx(0.05 ** (1 / 12), abs=0.01)


def test_values_that_never_change_fail_a_trend() -> None:
    found = trend_estimates([measured(np.ones((12, 3)))], seed=0)["trend.vendi"]
    assert (found.value, found.p_value) == (0, 1)
    assert judge(found, Limit(min=0.5)).verdict.value == "fail"


def test_shares_of_nothing_and_of_everything_have_intervals_of_equal_width() -> None:
    none = level_estimates(measured(np.zeros((12, 3)), RARE))["empty.0.1"].interval
    every = level_estimates(measured(np.ones((12, 3)), RARE))["empty.0.1"].interval
    assert none is not None
    assert every is not None
    assert none.low == 0
    assert none.high == pytest.approx(1 - 0.05 ** (1 / 12), abs=0.01)
    assert (every.low, every.high) == pytest.approx((1 - none.high, 1))


def test_a_bound_that_all_prompts_reach_is_no_certainty_either() -> None:
    found = level_estimates(measured(np.ones((12, 3)), SHARE))["distinct_2.1.2"].interval
    assert found is not None
    assert found.high == 1
    assert found.low < 0.9


def test_a_share_that_no_prompt_changes_is_no_certainty() -> None:
    found = change_estimates(measured(np.full((12, 3), 0.5), SHARE), neighbours(LEVELS), seed=0)["distinct_2_change"]
    assert found.value == 0
    assert judge(found, Limit(min=0)).verdict.value == "inconclusive"


def test_the_worst_level_has_as_many_prompts_as_the_level_with_the_fewest() -> None:
    table = rising(12)
    table[:2, 2] = math.nan
    assert level_estimates(measured(table))["vendi"].clusters == 10


@pytest.mark.parametrize(("lost", "judged"), [(2, True), (3, False)])
def test_more_than_a_fifth_of_the_prompts_missing_leaves_a_level_undecided(lost: int, judged: bool) -> None:
    table = rising(12)
    table[:lost] = math.nan
    found = level_estimates(measured(table))
    assert (found["vendi.0.1"].problem is None) is judged
    assert (found["vendi"].problem is None) is judged
    trend = trend_estimates([measured(table)], seed=0)["trend.vendi"]
    assert (trend.problem is None) is judged
    assert trend.clusters == 12 - lost


def test_nothing_measured_is_no_number_and_no_crash() -> None:
    table = measured(np.full((12, 3), math.nan), problem="no vocabulary")
    found = level_estimates(table) | change_estimates(table, neighbours(LEVELS), seed=0)
    found |= trend_estimates([table], seed=0)
    for estimate in found.values():
        assert math.isnan(estimate.value)
        assert estimate.interval is None
        assert estimate.problem is not None
        assert "no vocabulary" in estimate.problem
