"""Trends, slopes and shares per block, against scipy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from llmaudit.stats.doses import kendall_taus, signed_ratio_interval, slopes

DOSES = (0.0, 1.0, 2.0, 3.0, 5.0)
# Few distinct values, so that ties are common.
RESPONSES = arrays(np.float64, st.tuples(st.integers(1, 6), st.just(5)), elements=st.integers(-2, 2).map(float))


@settings(deadline=None)
@given(RESPONSES)
def test_kendalls_tau_b_is_scipys_and_0_where_nothing_varies(responses: np.ndarray) -> None:
    for row, tau in zip(responses, kendall_taus(DOSES, responses), strict=True):
        expected = stats.kendalltau(DOSES, row).statistic if np.ptp(row) else 0.0
        assert tau == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(RESPONSES)
def test_a_slope_is_scipys(responses: np.ndarray) -> None:
    for row, slope in zip(responses, slopes(DOSES, responses), strict=True):
        assert slope == pytest.approx(stats.linregress(DOSES, row).slope, abs=1e-12)


@settings(deadline=None)
@given(RESPONSES)
def test_turning_the_responses_round_turns_the_signs(responses: np.ndarray) -> None:
    assert kendall_taus(DOSES, -responses) == pytest.approx(-kendall_taus(DOSES, responses))
    assert slopes(DOSES, -responses) == pytest.approx(-slopes(DOSES, responses))


def test_the_order_of_the_doses_does_not_matter() -> None:
    assert kendall_taus([2, 0, 1], [[3, 1, 2]]) == pytest.approx([1])
    assert slopes([2, 0, 1], [[3, 1, 2]]) == pytest.approx([1])


def test_a_block_without_all_its_responses_has_neither() -> None:
    responses = [[1.0, math.nan, 3.0], [1.0, 2.0, 3.0]]
    assert np.isnan(kendall_taus([0, 1, 2], responses)).tolist() == [True, False]
    assert np.isnan(slopes([0, 1, 2], responses)).tolist() == [True, False]


@pytest.mark.parametrize("function", [kendall_taus, slopes])
@pytest.mark.parametrize(
    ("doses", "responses"),
    [([0, 1], [1, 2]), ([0], [[1]]), ([0, 1], [[1, 2, 3]]), ([[0, 1]], [[1, 2]]), ([1, 1], [[1, 2]])],
)
def test_what_makes_no_series(function: object, doses: object, responses: object) -> None:
    with pytest.raises(ValueError, match="doses"):
        function(doses, responses)  # type: ignore[operator]


def test_fiellers_interval_by_its_definition() -> None:
    # The set of ratios r for which a t test of numerator - r * denominator does not reject.
    rng = np.random.default_rng(1)
    under = rng.normal(1, 1, 20)
    over = 0.4 * under + rng.normal(0, 0.3, 20)
    found = signed_ratio_interval(over, under)
    assert found is not None
    assert (found.level, found.method) == (0.90, "Fieller on cluster means")
    for bound in (found.low, found.high):
        assert stats.ttest_1samp(over - bound * under, 0).pvalue == pytest.approx(0.10)
    assert found.low < over.mean() / under.mean() < found.high


def test_a_ratio_over_something_that_may_be_0_has_no_interval() -> None:
    rng = np.random.default_rng(2)
    under = rng.normal(0, 1, 20)
    assert abs(under.mean()) < under.std(ddof=1) / math.sqrt(20)
    assert signed_ratio_interval(under + 1, under) is None
    assert signed_ratio_interval([1, 2], [0, 0]) is None
    assert signed_ratio_interval([1], [1]) is None
    assert signed_ratio_interval([1, math.nan], [1, 1]) is None


def test_a_ratio_that_all_clusters_share_is_exact() -> None:
    found = signed_ratio_interval([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))


def test_what_makes_no_ratio() -> None:
    with pytest.raises(ValueError, match="one denominator per cluster"):
        signed_ratio_interval([1, 2], [1])
    with pytest.raises(ValueError, match="level"):
        signed_ratio_interval([1, 2], [1, 2], 90)
