"""Welch intervals against scipy's test, and where there are none."""

from __future__ import annotations

import math
from typing import Literal

import pytest
from scipy import stats

from llmaudit.stats import t_interval, welch_interval
from llmaudit.types import Interval

FIRST, SECOND = [1.0, 2.0, 2.0, 3.0], [4.0, 4.0, 5.0, 9.0, 3.0]


def test_the_interval_ends_where_the_one_sided_tests_do() -> None:
    found = welch_interval(FIRST, SECOND, 0.90)
    assert found is not None
    sides: tuple[tuple[float, Literal["greater", "less"]], ...] = ((found.low, "greater"), (found.high, "less"))
    for bound, alternative in sides:
        moved = [value + bound for value in SECOND]
        assert stats.ttest_ind(FIRST, moved, equal_var=False, alternative=alternative).pvalue == pytest.approx(0.05)


def test_by_hand() -> None:
    # Means 1 and 2, variances 2 and 2 of two each: standard error sqrt 2, two degrees of freedom.
    found = welch_interval([0.0, 2.0], [1.0, 3.0])
    assert found is not None
    assert found.high == pytest.approx(-1 + 2.9199855803537269 * math.sqrt(2))


def test_the_other_way_round_it_is_mirrored() -> None:
    found, mirrored = welch_interval(FIRST, SECOND), welch_interval(SECOND, FIRST)
    assert found is not None
    assert mirrored is not None
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


def test_one_sample_without_variation_leaves_that_of_the_other() -> None:
    found, of_the_mean = welch_interval([2.0] * 9, SECOND), t_interval([2 - value for value in SECOND])
    assert found is not None
    assert of_the_mean is not None
    assert (found.low, found.high) == pytest.approx((of_the_mean.low, of_the_mean.high))


def test_samples_without_variation_have_an_interval_without_width() -> None:
    assert welch_interval([1, 1], [2, 2, 2]) == Interval(-1.0, -1.0, 0.9, "Welch t on clusters")


@pytest.mark.parametrize(("first", "second"), [([1.0], [1.0, 2.0]), ([1.0, 2.0], [math.nan, 1.0]), ([], [])])
def test_what_has_no_interval(first: list[float], second: list[float]) -> None:
    assert welch_interval(first, second) is None


def test_a_level_that_is_none() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        welch_interval(FIRST, SECOND, 0)
