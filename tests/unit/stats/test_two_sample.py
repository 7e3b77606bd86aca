"""Welch intervals against scipy's test, and where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llmaudit.stats import simultaneous_welch_intervals, welch_interval
from llmaudit.types import Interval

FIRST, SECOND = np.array([1.0, 2, 2, 3]), np.array([4.0, 4, 5, 9, 3])


def test_the_interval_ends_where_the_one_sided_tests_do() -> None:
    found = welch_interval(FIRST, SECOND, 0.90)
    assert found is not None
    for bound, alternative in ((found.low, "greater"), (found.high, "less")):
        test = stats.ttest_ind(FIRST, SECOND + bound, equal_var=False, alternative=alternative)
        assert test.pvalue == pytest.approx(0.05)


def test_by_hand() -> None:
    # Means 1 and 2, variances 2 and 2 of two each: standard error sqrt 2, two degrees of freedom.
    found = welch_interval([0.0, 2.0], [1.0, 3.0])
    assert found is not None
    assert found.high == pytest.approx(-1 + 2.9199855803537269 * math.sqrt(2))


def test_together_they_are_wider() -> None:
    alone = welch_interval(FIRST, SECOND)
    first, second = simultaneous_welch_intervals([(FIRST, SECOND), (SECOND, FIRST)])
    assert alone is not None
    assert first is not None
    assert second is not None
    assert first.low < alone.low
    assert (second.low, second.high) == pytest.approx((-first.high, -first.low))


def test_samples_without_variation_have_an_interval_without_width() -> None:
    assert welch_interval([1, 1], [2, 2, 2]) == Interval(-1.0, -1.0, 0.9, "Welch t on clusters")


@pytest.mark.parametrize(("first", "second"), [([1.0], [1.0, 2.0]), ([1.0, 2.0], [math.nan, 1.0]), ([], [])])
def test_what_has_no_interval(first: list[float], second: list[float]) -> None:
    assert welch_interval(first, second) is None


def test_a_level_that_is_none() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        welch_interval(FIRST, SECOND, 0)
