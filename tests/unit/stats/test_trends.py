"""Kendall's tau-b within blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from llmaudit.stats.trends import kendall_tau_b


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
