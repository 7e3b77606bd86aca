"""Jackknife intervals, where they equal what is known and where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.stats import jackknife_interval, simultaneous_jackknife_intervals, t_interval


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=40))
def test_of_a_mean_it_is_the_t_interval(values: list[int]) -> None:
    array = np.array(values, dtype=float)
    without = (array.sum() - array) / (len(array) - 1)
    found, known = jackknife_interval(float(array.mean()), without), t_interval(array)
    assert found is not None
    assert known is not None
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-6)


def test_together_they_are_wider_and_alone_they_are_the_same() -> None:
    without = np.array([1.0, 2.0, 4.0])
    alone = jackknife_interval(2.0, without)
    (one,) = simultaneous_jackknife_intervals([2.0], [without])
    first, second = simultaneous_jackknife_intervals([2.0, 2.0], [without, without])
    assert alone is not None
    assert one is not None
    assert first is not None
    assert (one.low, one.high) == (alone.low, alone.high)
    assert first == second
    assert first.low < alone.low
    assert alone.high < first.high
    assert first.level == alone.level == 0.9


@pytest.mark.parametrize(
    ("value", "without"), [(1.0, [1.0]), (1.0, []), (math.nan, [1.0, 2.0]), (1.0, [1.0, math.inf])]
)
def test_what_has_no_interval(value: float, without: list[float]) -> None:
    assert jackknife_interval(value, without) is None


def test_a_level_that_is_none() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        jackknife_interval(1.0, [1.0, 2.0], 1.0)
