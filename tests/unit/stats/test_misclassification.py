"""The errors of a scorer make intervals wider, never narrower."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.stats import informedness, widened, wilson
from llmaudit.types import Interval

BOUNDS = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted)
INFORMED = st.floats(0.01, 1)


def interval(low: float, high: float) -> Interval:
    return Interval(low, high, 0.9, "t")


@given(BOUNDS, INFORMED)
def test_the_hull_holds_the_observed_and_the_corrected_interval(bounds: list[float], informed: float) -> None:
    low, high = bounds
    found = widened(interval(low, high), informed)
    for bound in (low, high, float(np.clip(low / informed, -1, 1)), float(np.clip(high / informed, -1, 1))):
        assert found.low <= bound <= found.high
    assert -1 <= found.low <= found.high <= 1
    assert (found.level, found.method) == (0.9, "t, widened for the scorer's errors")


@given(BOUNDS, INFORMED, INFORMED)
def test_a_worse_scorer_gives_a_wider_interval(bounds: list[float], one: float, other: float) -> None:
    worse, better = (widened(interval(*bounds), informed) for informed in sorted((one, other)))
    assert worse.low <= better.low
    assert better.high <= worse.high


@given(BOUNDS, INFORMED)
def test_turning_the_difference_around_turns_the_interval_around(bounds: list[float], informed: float) -> None:
    found, mirrored = widened(interval(*bounds), informed), widened(interval(-bounds[1], -bounds[0]), informed)
    assert (mirrored.low, mirrored.high) == (-found.high, -found.low)


def test_a_perfect_scorer_changes_nothing_and_an_interval_around_zero_grows_both_ways() -> None:
    assert (widened(interval(-0.1, 0.3), 1).low, widened(interval(-0.1, 0.3), 1).high) == (-0.1, 0.3)
    found = widened(interval(-0.1, 0.3), 0.5)
    assert (found.low, found.high) == (-0.2, 0.6)
    # All on one side: the observed bound that lies nearer to zero stays.
    assert (widened(interval(0.1, 0.2), 0.5).low, widened(interval(0.1, 0.2), 0.5).high) == (0.1, 0.4)


def test_informedness_is_taken_at_the_lower_bounds() -> None:
    se, sp = wilson(90, 100), wilson(190, 200)
    assert se is not None
    assert sp is not None
    assert informedness((90, 100), (190, 200)) == pytest.approx(se.low + sp.low - 1)
    assert (informedness((50, 100), (50, 100)) or 0) < 0
    assert informedness((0, 0), (5, 5)) is None


@pytest.mark.parametrize("informed", [0.0, -0.2, 1.1, math.nan])
def test_a_scorer_no_better_than_chance_corrects_nothing(informed: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\]"):
        widened(interval(0, 0.1), informed)
