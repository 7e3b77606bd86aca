"""Figures of docs/statistics.md section 0, of textbooks and of statsmodels that the statistics must reproduce."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from llmaudit.stats import (
    Limit,
    benjamini_hochberg,
    clopper_pearson,
    clusters_needed,
    design_problem,
    friedman,
    holm,
    judge,
    mde,
    min_attainable_p,
    page,
    power_of_pass,
    sign_flip,
    t_interval,
    wilson,
)
from llmaudit.types import Estimate, Verdict


def test_wilson_of_the_crows_pairs_size() -> None:
    interval = wilson(900, 1508, level=0.95)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.57184, 0.62130), abs=5e-6)
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(900, 1508, method="wilson"))


def test_no_failure_in_the_flores_sentences() -> None:
    interval = clopper_pearson(0, 1012)  # 90 %: its upper bound is the one-sided 95 % bound
    assert interval is not None
    assert interval.low == 0
    assert interval.high == pytest.approx(1 - 0.05 ** (1 / 1012))
    assert interval.high == pytest.approx(0.00296, abs=5e-6)


@pytest.mark.parametrize("clusters", range(2, 14))
def test_the_smallest_sign_flip_p(clusters: int) -> None:
    differences = np.random.default_rng(0).uniform(0.5, 2, clusters)
    assert sign_flip(differences, seed=0) == min_attainable_p(clusters) == 2 / 2**clusters


def test_sign_flip_of_fishers_reading_of_darwins_plants() -> None:
    # Fisher (1935), The Design of Experiments, section 21: 863 of 2^15 patterns sum to 314 or more, 5.267 % two-sided.
    differences = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert sign_flip(differences, seed=0, resamples=99_999) == pytest.approx(2 * 863 / 2**15, abs=0.003)
    # The same data without the last two pairs are enumerated.
    signs = 2 * ((np.arange(2**13)[:, None] >> np.arange(13)) & 1) - 1
    sums = np.abs(signs @ differences[:13])
    assert sign_flip(differences[:13], seed=0) == np.mean(sums >= abs(sum(differences[:13])))


def test_the_verdict_of_parity_is_statsmodels_tost() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        a = rng.normal(rng.uniform(0, 0.6), 0.5, 14)
        b = rng.normal(0, 0.5, 14)
        estimate = Estimate("gap", float((a - b).mean()), t_interval(a - b), "points", "zero", n=14, clusters=14)
        p_value = ttost_paired(a, b, -0.4, 0.4)[0]
        passed = judge(estimate, Limit(max=0.4)).verdict is Verdict.PASS
        assert passed == (p_value < 0.05)
        seen.add(passed)
    assert seen == {True, False}


@pytest.mark.parametrize(("margin", "normal", "exact"), [(1, 7, 8), (0.5, 25, 27), (0.25, 99, 101)])
def test_clusters_for_non_inferiority(margin: float, normal: int, exact: int) -> None:
    # docs/statistics.md section 0.4 counts with the normal distribution; with t that many give 75 to 79.5 %.
    z = stats.norm.isf(0.05) + stats.norm.isf(0.20)
    assert math.ceil((z / margin) ** 2) == normal
    assert 0.75 < power_of_pass(0, margin, 1, normal) < 0.80
    assert clusters_needed(1, margin) == exact
    assert power_of_pass(0, margin, 1, exact) >= 0.80


@pytest.mark.parametrize("clusters", [5, 10, 30, 200])
@pytest.mark.parametrize("effect", [-0.2, 0.0, 0.3, 0.6])
def test_power_is_statsmodels(clusters: int, effect: float) -> None:
    expected = TTestPower().power(effect, clusters, 0.05, alternative="larger")
    assert power_of_pass(0, effect, 1, clusters) == pytest.approx(expected, abs=1e-9)


def test_minimum_detectable_effect_is_statsmodels() -> None:
    expected = TTestPower().solve_power(nobs=20, alpha=0.05, power=0.8, alternative="two-sided")
    assert mde(2.0, 20, sided=2) == pytest.approx(2 * expected, rel=1e-4)


@pytest.mark.parametrize(
    ("clusters", "harm", "passes", "fails"),
    [
        (6, 0, 0.28, 0.00),
        (12, 0, 0.49, 0.00),
        (25, 0, 0.78, 0.00),
        (50, 0, 0.97, 0.00),
        (6, 1, 0.05, 0.05),
        (50, 1, 0.05, 0.05),
        (12, 2, 0.00, 0.49),
        (50, 2, 0.00, 0.97),
    ],
)
def test_operating_characteristics_of_the_gate(clusters: int, harm: float, passes: float, fails: float) -> None:
    """docs/statistics.md section 0.5: margin 0.5 sd, harm in margins. Two figures after the point, 1000 repeats."""
    margin, repeats = 0.5, 1000
    draws = np.random.default_rng(clusters).normal(harm * margin, 1, (repeats, clusters))
    found = [t_interval(row) for row in draws]
    passed = np.mean([interval is not None and interval.high < margin for interval in found])
    failed = np.mean([interval is not None and interval.low > margin for interval in found])
    for rate, expected in ((passed, passes), (failed, fails)):
        assert rate == pytest.approx(expected, abs=0.005 + 3 * math.sqrt(expected * (1 - expected) / repeats))
    assert power_of_pass(harm * margin, margin, 1, clusters) == pytest.approx(passes, abs=0.005)


def test_holm_by_hand_and_by_statsmodels() -> None:
    family = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    assert holm(family) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(holm(family).values()) == pytest.approx(multipletests(list(family.values()), method="holm")[1])


def test_benjamini_hochberg_by_hand_and_by_scipy() -> None:
    family = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    assert benjamini_hochberg(family) == pytest.approx({"a": 0.02, "b": 0.04, "c": 0.04, "d": 0.02})
    expected = stats.false_discovery_control(list(family.values()))
    assert list(benjamini_hochberg(family).values()) == pytest.approx(expected)


def test_a_family_of_twenty_needs_ten_clusters() -> None:
    assert math.ceil(math.log2(2 * 20 / 0.05)) == 10
    assert design_problem(10, tests=20) is None


def test_friedman_of_the_full_order() -> None:
    # n blocks that agree on the order of k groups: chi^2 = n (k - 1).
    table = np.tile(np.arange(4.0), (6, 1))
    assert friedman(table).statistic == pytest.approx(18)


def test_page_of_a_published_example() -> None:
    # Ratings of tutorial, lecture and seminar by ten students, the example of scipy's documentation.
    ratings = [
        [3, 4, 3],
        [2, 2, 4],
        [3, 3, 5],
        [1, 3, 2],
        [2, 3, 2],
        [2, 4, 5],
        [1, 2, 4],
        [3, 4, 4],
        [2, 4, 5],
        [1, 3, 4],
    ]
    found = page(ratings)
    assert (found.statistic, found.p_value) == pytest.approx((133.5, 0.0018191161948127822))
