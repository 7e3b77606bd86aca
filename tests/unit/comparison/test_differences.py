"""Differences are paired within clusters, and called better only where that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests

from llmaudit.changes import Changes
from llmaudit.comparison.differences import ALPHA, Difference, adjusted, difference
from llmaudit.records import EstimateRecord
from llmaudit.stats import sign_flip
from llmaudit.types import Better

from .conftest import estimate

PAIR = (0, 1)


def compared(one: Sequence[EstimateRecord], other: Sequence[EstimateRecord], metric: str = "gap") -> Difference:
    before, after = ({each.metric: each.estimate() for each in found} for found in (one, other))
    found = difference(metric, PAIR, Changes(before, after, 0))
    values = [next(each for each in found if each.metric == metric) for found in (one, other)]
    return adjusted([found], values)[0]


def drawn(mean: float, seed: int, **changes: Any) -> EstimateRecord:
    return estimate("gap", np.random.default_rng(seed).normal(mean, 0.2, 12).tolist(), **changes)


def test_a_difference_is_that_of_the_clusters() -> None:
    one, other = drawn(0.0, 1), drawn(0.4, 2)
    found = compared([one], [other])
    pairs = np.array(list(other.cluster_values.values()), float) - np.array(list(one.cluster_values.values()), float)
    interval = scipy_stats.ttest_1samp(pairs, 0).confidence_interval(0.90)
    assert found.value == pytest.approx(pairs.mean())
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p_value == pytest.approx(sign_flip(pairs, 0))
    assert (found.clusters, found.apart, found.better) == (12, True, 0)


@pytest.mark.parametrize(("better", "expected"), [("lower", 0), ("higher", 1)])
def test_the_better_one_follows_the_direction(better: Better, expected: int) -> None:
    assert compared([drawn(0.0, 1, better=better)], [drawn(0.5, 2, better=better)]).better == expected


def test_what_is_not_told_apart_has_no_better_one() -> None:
    found = compared([drawn(0.0, 1)], [drawn(0.0, 2)])
    assert (found.apart, found.better) == (False, None)


@pytest.mark.parametrize(
    ("means", "apart", "better"),
    [((0.1, 0.9), True, 0), ((-0.9, 0.1), True, 1), ((-0.5, 0.5), True, None), ((0.5, 0.5), False, None)],
)
def test_where_zero_is_best_the_nearer_one_is_better(
    means: tuple[float, float], apart: bool, better: int | None
) -> None:
    found = compared([drawn(means[0], 1, better="zero")], [drawn(means[1], 2, better="zero")])
    assert (found.apart, found.better) == (apart, better)


def test_opposite_differences_are_called_better_in_one_case_of_twenty_at_most() -> None:
    named = [
        compared([drawn(-0.2, 2 * seed, better="zero")], [drawn(0.2, 2 * seed + 1, better="zero")]).better is not None
        for seed in range(150)
    ]
    assert np.mean(named) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_the_worst_facets_of_both_are_held_against_each_other() -> None:
    rng = np.random.default_rng(4)
    one = [estimate(f"gap.{facet}", rng.normal(mean, 0.1, 12).tolist(), better="zero") for facet, mean in
           (("a", -0.8), ("b", 0.1))]  # fmt: skip
    other = [estimate(f"gap.{facet}", rng.normal(mean, 0.1, 12).tolist(), better="zero") for facet, mean in
             (("a", 0.1), ("b", 0.3))]  # fmt: skip

    def worst(facet: EstimateRecord) -> EstimateRecord:
        values = [value or 0.0 for value in facet.cluster_values.values()]
        return estimate("gap", values, value=abs(facet.value or 0.0), better="lower")

    found = compared([worst(one[0]), *one], [worst(other[1]), *other])
    assert found.value == pytest.approx((other[1].value or 0) + (one[0].value or 0))
    assert found.value == pytest.approx(-0.5, abs=0.1)
    assert found.high is not None
    assert found.high < 0
    assert (found.apart, found.better) == (True, 1)


def test_exact_metrics_differ_or_do_not() -> None:
    def exact(value: float) -> EstimateRecord:
        return estimate("gap", [value], deterministic=True, cluster_values={}, interval=None)

    assert compared([exact(3.0)], [exact(2.0)]).better == 1
    same = compared([exact(3.0)], [exact(3.0)])
    assert (same.value, same.apart, same.better, same.p_value) == (0.0, False, None, None)


def test_a_problem_of_either_is_one_of_the_difference() -> None:
    found = compared([drawn(0.0, 1)], [drawn(5.0, 2, problem="too many answers are missing")])
    assert (found.problem, found.apart, found.better) == ("too many answers are missing", False, None)


def test_clusters_that_do_not_make_up_the_estimate_make_no_pairs() -> None:
    # The effect size of an association is a ratio; its clusters are terms of the numerator.
    found = compared([drawn(0.0, 1, value=1.4, interval=None)], [drawn(0.5, 2, value=0.2, interval=None)])
    assert found.problem is not None
    assert not found.apart


def test_an_estimate_without_clusters_cannot_be_compared() -> None:
    found = compared([drawn(0.0, 1, cluster_values={})], [drawn(0.5, 2, cluster_values={})])
    assert found.problem is not None
    assert "no value per cluster" in found.problem


def test_the_family_are_the_pairs_of_the_metric() -> None:
    p_values = [0.001, 0.04, 0.02, None, 0.5, 0.03]
    pairs = list(combinations(range(4), 2))
    values = [drawn(float(run), run) for run in range(4)]
    found = adjusted([Difference(pair, 1.0, p_value=p) for pair, p in zip(pairs, p_values, strict=True)], values)
    expected = multipletests([1.0 if p is None else p for p in p_values], method="holm")[1]
    for each, p, corrected in zip(found, p_values, expected, strict=True):
        assert each.p_adjusted == (None if p is None else pytest.approx(corrected))
        assert each.apart is bool(p is not None and corrected < ALPHA)
