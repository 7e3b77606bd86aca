"""The errors of a scorer make intervals wider, never narrower."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.stats import Informedness, informedness, widened, widened_share, wilson
from llmaudit.types import Interval

BOUNDS = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted)
INFORMED = st.floats(0.01, 1)


def interval(low: float, high: float) -> Interval:
    return Interval(low, high, 0.9, "t")


def sure(value: float) -> Informedness:
    return Informedness(value, 0.0)


@given(BOUNDS, INFORMED, st.floats(0, 0.9))
def test_the_hull_holds_the_observed_and_the_corrected_interval(
    bounds: list[float], informed: float, share: float
) -> None:
    low, high = bounds
    found = widened(interval(low, high), Informedness(informed, share * informed))
    for bound in (low, high, float(np.clip(low / informed, -1, 1)), float(np.clip(high / informed, -1, 1))):
        assert found.low - 1e-12 <= bound <= found.high + 1e-12
    assert -1 <= found.low <= found.high <= 1
    assert (found.level, found.method) == (0.9, "t, widened for the scorer's errors")


@given(BOUNDS, INFORMED, st.floats(0, 0.9), st.floats(0, 0.9))
def test_a_less_certain_scorer_gives_a_wider_interval(
    bounds: list[float], informed: float, one: float, other: float
) -> None:
    shares = sorted((one, other))
    less, more = (widened(interval(*bounds), Informedness(informed, share * informed)) for share in shares)
    assert more.low <= less.low + 1e-12
    assert less.high <= more.high + 1e-12


@given(BOUNDS, INFORMED)
def test_turning_the_difference_around_turns_the_interval_around(bounds: list[float], informed: float) -> None:
    found = widened(interval(*bounds), sure(informed))
    mirrored = widened(interval(-bounds[1], -bounds[0]), sure(informed))
    assert (mirrored.low, mirrored.high) == (-found.high, -found.low)


def test_a_perfect_scorer_changes_nothing_and_an_interval_around_zero_grows_both_ways() -> None:
    same = widened(interval(-0.1, 0.3), sure(1))
    assert (same.low, same.high) == pytest.approx((-0.1, 0.3))
    found = widened(interval(-0.1, 0.3), sure(0.5))
    assert (found.low, found.high) == pytest.approx((-0.2, 0.6))
    # All on one side: the observed bound that lies nearer to zero stays.
    found = widened(interval(0.1, 0.2), sure(0.5))
    assert (found.low, found.high) == pytest.approx((0.1, 0.4))


def test_where_no_difference_is_observed_uncertainty_about_the_scorer_adds_nothing() -> None:
    found = widened(interval(-0.1, 0.1), Informedness(0.5, 0.3))
    assert (found.low, found.high) == pytest.approx((-0.2, 0.2))


def test_the_corrected_interval_covers_the_true_difference() -> None:
    """Labelled texts and answers drawn anew each time; the interval is of independent answers here."""
    rng = np.random.default_rng(5)
    truth, sensitivity, specificity, n = (0.30, 0.10), 0.7, 0.9, 400
    covered = 0
    for _ in range(1000):
        known = informedness(
            (int(rng.binomial(60, sensitivity)), 60), (int(rng.binomial(60, specificity)), 60), level=0.9
        )
        assert known is not None
        seen = [rng.binomial(n, p * sensitivity + (1 - p) * (1 - specificity)) / n for p in truth]
        error = math.sqrt(sum(p * (1 - p) / n for p in seen))
        middle = seen[0] - seen[1]
        found = widened(interval(middle - 1.645 * error, middle + 1.645 * error), known)
        covered += found.low <= truth[0] - truth[1] <= found.high
    assert covered >= 880


def test_informedness_joins_the_errors_of_both() -> None:
    se, sp = wilson(90, 100), wilson(190, 200)
    assert se is not None
    assert sp is not None
    found = informedness((90, 100), (190, 200))
    assert found is not None
    assert found.value == pytest.approx(0.85)
    assert found.half_width == pytest.approx(math.hypot((se.high - se.low) / 2, (sp.high - sp.low) / 2))
    assert not found.useless
    chance = informedness((50, 100), (50, 100))
    assert chance is not None
    assert chance.useless
    assert informedness((0, 0), (5, 5)) is None


@pytest.mark.parametrize("informed", [sure(0.0), sure(-0.2), sure(1.1), sure(math.nan), Informedness(0.2, 0.3)])
def test_a_scorer_no_better_than_chance_corrects_nothing(informed: Informedness) -> None:
    with pytest.raises(ValueError, match="cannot be told from chance"):
        widened(interval(0, 0.1), informed)


SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


@given(SHARES, st.integers(80, 100), st.integers(80, 100))
def test_the_hull_of_a_share_holds_the_observed_one_and_stays_a_share(
    bounds: list[float], found: int, left: int
) -> None:
    wide = widened_share(interval(*bounds), (found, 100), (left, 100))
    assert 0 <= wide.low <= bounds[0] <= bounds[1] <= wide.high <= 1
    assert wide.method == "t, widened for the scorer's errors"


def test_as_many_as_the_false_alarms_may_be_none() -> None:
    # A scorer that is wrong on one harmless text in ten finds one text in ten.
    found = widened_share(interval(0.08, 0.12), (90, 100), (90, 100))
    assert found.low == 0
    perfect = widened_share(interval(0.08, 0.12), (10**6, 10**6), (10**6, 10**6))
    assert (perfect.low, perfect.high) == pytest.approx((0.08, 0.12), abs=1e-4)


def test_the_corrected_interval_covers_the_true_share() -> None:
    rng = np.random.default_rng(6)
    truth, sensitivity, specificity, n = 0.25, 0.7, 0.9, 400
    covered = 0
    for _ in range(1000):
        known = ((int(rng.binomial(60, sensitivity)), 60), (int(rng.binomial(60, specificity)), 60))
        seen = rng.binomial(n, truth * sensitivity + (1 - truth) * (1 - specificity)) / n
        error = math.sqrt(seen * (1 - seen) / n)
        found = widened_share(interval(seen - 1.645 * error, seen + 1.645 * error), *known)
        covered += found.low <= truth <= found.high
    assert covered >= 880


def test_a_scorer_no_better_than_chance_corrects_no_share() -> None:
    for known in (((5, 10), (5, 10)), ((0, 0), (5, 5))):
        with pytest.raises(ValueError, match="cannot be told from chance"):
            widened_share(interval(0, 0.1), *known)
