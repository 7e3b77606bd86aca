"""Percentiles of repetitions inside clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from llmaudit.stats import clustered_quantile_interval, independent_values

LAUNCHES, TIMES = 10, 45
INDEX = np.repeat(np.arange(LAUNCHES), TIMES)


def draw(rng: np.random.Generator, shared: float) -> NDArray[np.float64]:
    """Times of which a share of the variance belongs to their launch."""
    own = rng.normal(size=(LAUNCHES, TIMES))
    values: NDArray[np.float64] = np.sqrt(shared) * rng.normal(size=(LAUNCHES, 1)) + np.sqrt(1 - shared) * own
    return values.ravel()


def test_independent_values_keep_the_exact_interval_of_the_quantile_test() -> None:
    values = np.arange(100.0)
    index = np.arange(100) % 10
    found = clustered_quantile_interval(values, index, 0.5)
    exact: Any = stats.quantile_test(values, p=0.5).confidence_interval(0.90)
    assert found is not None
    assert independent_values(values, index, 0.5) == 100
    assert (found.low, found.high) == (exact.low, exact.high)


@pytest.mark.parametrize(("quantile", "needed"), [(0.95, 59), (0.99, 299)])
def test_a_far_quantile_has_no_bound_below_its_minimum(quantile: float, needed: int) -> None:
    # Values in turn, so that every cluster looks like the others.
    for size, bounded in ((needed - 1, False), (needed, True)):
        values = np.arange(float(size))
        found = clustered_quantile_interval(values, np.arange(size) % 5, quantile)
        assert (found is not None) is bounded


def test_what_is_the_same_within_a_launch_is_worth_less_than_one_value_a_launch() -> None:
    rng = np.random.default_rng(3)
    values = np.repeat(rng.normal(size=LAUNCHES), TIMES)
    for quantile in (0.5, 0.9, 0.95, 0.99):
        assert independent_values(values, INDEX, quantile) <= LAUNCHES
    assert clustered_quantile_interval(values, INDEX, 0.95) is None


@pytest.mark.parametrize("shared", [0.0, 0.3])
def test_the_interval_keeps_its_level(shared: float) -> None:
    rng = np.random.default_rng(11)
    true = float(stats.norm.ppf(0.9))
    found = [clustered_quantile_interval(draw(rng, shared), INDEX, 0.9) for _ in range(150)]
    bounded = [each for each in found if each is not None]
    covered = sum(each.low <= true <= each.high for each in bounded)
    assert len(bounded) > 75
    assert covered / len(bounded) > 0.86


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 5)), min_size=1, max_size=80), st.floats(0.01, 0.99))
def test_the_interval_is_made_of_values_and_holds_the_quantile(pairs: list[tuple[float, int]], quantile: float) -> None:
    values, index = np.array([value for value, _ in pairs]), np.array([cluster for _, cluster in pairs])
    found = clustered_quantile_interval(values, index, quantile)
    if found is not None:
        assert {found.low, found.high} <= set(values.tolist())
        assert found.low <= np.quantile(values, quantile, method="inverted_cdf") <= found.high


def test_constant_times_have_an_interval_of_no_width() -> None:
    found = clustered_quantile_interval(np.full(300, 2.0), np.arange(300) % 10, 0.95)
    assert found is not None
    assert found.low == found.high == 2.0


def test_one_launch_tells_nothing_of_how_launches_vary() -> None:
    assert independent_values([1.0, 2.0], [0, 0], 0.5) == 0
    assert clustered_quantile_interval(np.arange(400.0), np.zeros(400, dtype=int), 0.5) is None


def test_refusals() -> None:
    with pytest.raises(ValueError, match="one cluster per value"):
        independent_values([1.0], [0, 1], 0.5)
    with pytest.raises(ValueError, match="a quantile lies"):
        independent_values([1.0], [0], 1.0)
    with pytest.raises(ValueError, match="a level lies"):
        clustered_quantile_interval([1.0], [0], 0.5, 1.0)
