"""Trends within blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from llmaudit.stats import page
from llmaudit.stats.trends import kendall_tau_b, trend


@given(arrays(np.float64, (4, 5), elements=st.integers(0, 3).map(float)))
def test_it_is_scipys_row_by_row(matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    for row, tau in zip(matrix, kendall_tau_b(matrix), strict=True):
        expected = stats.kendalltau(np.arange(5), row).statistic
        assert tau == pytest.approx(0.0 if math.isnan(expected) else expected)


def test_a_row_without_difference_shows_no_trend_and_a_missing_value_gives_nan() -> None:
    found = kendall_tau_b([[2.0, 2.0, 2.0], [1.0, math.nan, 3.0], [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    assert found[0] == 0
    assert math.isnan(found[1])
    assert found[2:].tolist() == [1, -1]


def test_one_level_has_no_order() -> None:
    with pytest.raises(ValueError, match="2 levels"):
        kendall_tau_b([[1], [2]])


def test_an_infinite_value_is_no_rank() -> None:
    assert math.isnan(kendall_tau_b([[1.0, math.inf, 3.0]])[0])
    assert math.isnan(kendall_tau_b([[math.inf, math.inf, math.inf]])[0])


@given(arrays(np.float64, (6, 4), elements=st.integers(0, 3).map(float)))
def test_its_p_is_pages_over_the_complete_blocks(matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    matrix[0, 1] = math.nan
    found = trend(matrix, seed=1)
    assert np.isnan(found.taus).tolist() == [True, False, False, False, False, False]
    assert found.page == page(matrix[1:])
    assert found.p_value == found.page.p_value


def test_two_levels_have_the_sign_flip_p_of_their_taus() -> None:
    found = trend([[0.0, 1.0]] * 6 + [[math.nan, 1.0]], seed=1)
    assert found.page.problem is not None
    assert found.p_value == 2 / 2**6


def test_blocks_that_all_lack_a_value_have_no_p() -> None:
    assert trend([[math.nan, 1.0, 2.0]] * 6, seed=1).p_value is None


def test_the_same_numbers_added_in_another_order_are_tied() -> None:
    values = [(0.1 + 0.2 + 0.3) / 3, (0.3 + 0.2 + 0.1) / 3, (0.1 + 0.2 + 0.3) / 3]
    assert values[0] != values[1]
    found = trend([values] * 12, seed=1)
    assert not found.taus.any()
    assert found.p_value == 1


def test_one_block_is_no_evidence() -> None:
    assert trend([[0.0, 1.0, 2.0]], seed=1).p_value == 1
