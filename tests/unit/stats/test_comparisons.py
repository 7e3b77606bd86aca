"""Sign-flip, rank and permutation tests: agreement with scipy, symmetry, degenerate data."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llmaudit.stats.comparisons import (
    friedman,
    hedges_g_paired,
    min_attainable_p,
    page,
    permutation_null_worst_gap,
    sign_flip,
)

GRID = st.integers(-1000, 1000).map(lambda value: value / 8)


@settings(max_examples=50, deadline=None)
@given(st.lists(GRID, min_size=1, max_size=9))
def test_sign_flip_is_exact_and_blind_to_sign_and_scale(differences: list[float]) -> None:
    p = sign_flip(differences, seed=0)
    assert min_attainable_p(len(differences)) <= p <= 1
    assert p == sign_flip([-4 * value for value in differences], seed=1)
    assert p * 2 ** len(differences) == pytest.approx(round(p * 2 ** len(differences)))


@given(st.floats(1e-300, 1e300), st.integers(1, 13))
def test_sign_flip_of_constant_differences_is_the_smallest_p(value: float, clusters: int) -> None:
    assert sign_flip([value] * clusters, seed=0) == min_attainable_p(clusters)


@settings(max_examples=30, deadline=None)
@given(st.lists(GRID, min_size=2, max_size=9).filter(any))
def test_a_one_sided_sign_flip_by_brute_force(differences: list[float]) -> None:
    signs = np.array(list(itertools.product((1, -1), repeat=len(differences))))
    expected = np.mean(signs @ np.array(differences) >= sum(differences))
    assert sign_flip(differences, seed=0, alternative="greater") == pytest.approx(expected)


def test_sign_flip_of_nothing_but_zeros_is_one() -> None:
    assert sign_flip([0.0] * 20, seed=0) == 1
    assert sign_flip([5.0], seed=0) == 1


def test_sign_flip_samples_with_the_plus_one_correction() -> None:
    assert sign_flip([1.0] * 40, seed=0, resamples=999) == pytest.approx(2 / 1000)
    values = np.random.default_rng(0).normal(0.4, 1, 30)
    assert sign_flip(values, seed=3) == sign_flip(values, seed=3)
    assert sign_flip(values, seed=3) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)


@pytest.mark.parametrize("differences", [[], [1.0, math.nan], [math.inf, 1.0], [[1.0, 2.0]]])
def test_sign_flip_refuses_what_it_cannot_test(differences: list[float]) -> None:
    with pytest.raises(ValueError, match="one finite difference per cluster"):
        sign_flip(differences, seed=0)


@pytest.mark.parametrize(("clusters", "p"), [(0, 1), (1, 1), (4, 0.125), (6, 0.03125), (10, 2 / 1024)])
def test_smallest_p(clusters: int, p: float) -> None:
    assert min_attainable_p(clusters) == p


@given(st.lists(GRID, min_size=3, max_size=30))
def test_hedges_g_flips_with_the_sign_and_ignores_the_unit(differences: list[float]) -> None:
    g = hedges_g_paired(differences)
    if len(set(differences)) == 1:
        assert g is None
    else:
        assert g is not None
        assert hedges_g_paired([-1000 * value for value in differences]) == pytest.approx(-g)


def test_hedges_g_corrects_the_standardised_mean() -> None:
    assert hedges_g_paired([1, 2, 3, 4]) == pytest.approx((1 - 3 / 11) * 2.5 / math.sqrt(5 / 3))


@pytest.mark.parametrize("differences", [[], [1.0], [1.0, 2.0], [0.0] * 5, [0.3, 0.1 + 0.2, 0.3], [1.0, math.nan, 2.0]])
def test_hedges_g_is_none_where_it_would_mislead(differences: list[float]) -> None:
    assert hedges_g_paired(differences) is None


def test_rank_tests_agree_with_scipy() -> None:
    table = np.random.default_rng(0).normal(size=(8, 4)) + np.arange(4)
    found, expected = friedman(table), stats.friedmanchisquare(*table.T)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    trend, wanted = page(table), stats.page_trend_test(table)
    assert (trend.statistic, trend.p_value, trend.blocks) == pytest.approx((wanted.statistic, wanted.pvalue, 8))


def test_page_sees_only_an_increase() -> None:
    table = np.tile(np.arange(3.0), (6, 1))
    assert page(table).p_value < 0.001
    assert page(table[:, ::-1]).p_value > 0.999


def test_rank_tests_of_tied_rows_find_nothing() -> None:
    table = np.repeat(np.arange(5.0)[:, None], 3, axis=1)
    assert friedman(table).p_value == 1
    assert page(table).p_value == 1


@pytest.mark.parametrize("table", [np.ones((1, 4)), np.ones((6, 2)), np.empty((0, 3)), np.full((6, 3), math.nan)])
def test_rank_tests_name_what_they_cannot_do(table: np.ndarray) -> None:
    for found in (friedman(table), page(table)):
        assert math.isnan(found.p_value)
        assert found.problem is not None


def test_rank_tests_need_a_matrix() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        friedman([1, 2, 3])


def test_the_worst_gap_by_chance_is_not_zero() -> None:
    null = permutation_null_worst_gap(np.random.default_rng(0).normal(size=(12, 6)), seed=0, resamples=999)
    assert 0.05 < null.p_value <= 1
    assert 0 < null.null_mean < null.null_95th


def test_a_real_worst_gap_exceeds_chance() -> None:
    cells = np.random.default_rng(0).normal(size=(12, 4)) + np.array([0, 0, 0, 5])
    null = permutation_null_worst_gap(cells, seed=0, resamples=999)
    assert null.p_value == 1 / 1000
    assert null.null_95th < np.ptp(cells.mean(axis=0))


@pytest.mark.parametrize("resamples", [1, 500])
def test_groups_that_do_not_differ_have_no_gap(resamples: int) -> None:
    cells = np.repeat(np.random.default_rng(0).normal(size=(7, 1)), 3, axis=1)
    assert permutation_null_worst_gap(cells, seed=0, resamples=resamples) == (1, 0, 0)


def test_two_groups_agree_with_the_sign_flip_test() -> None:
    differences = np.random.default_rng(0).normal(0.5, 1, 10)
    null = permutation_null_worst_gap(np.stack([differences, np.zeros(10)], axis=1), seed=0)
    assert null.p_value == pytest.approx(sign_flip(differences, seed=0), abs=0.01)


def test_a_batch_boundary_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = np.random.default_rng(0).normal(size=(5, 3))
    whole = permutation_null_worst_gap(cells, seed=0, resamples=100)
    monkeypatch.setattr("llmaudit.stats.comparisons._BATCH_ELEMENTS", 15 * 7)
    assert permutation_null_worst_gap(cells, seed=0, resamples=100) == whole


@pytest.mark.parametrize("cells", [np.ones((4, 1)), np.empty((0, 3)), np.array([[1.0, math.nan]])])
def test_the_worst_gap_refuses_what_it_cannot_test(cells: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a gap needs a finite cell"):
        permutation_null_worst_gap(cells, seed=0)
