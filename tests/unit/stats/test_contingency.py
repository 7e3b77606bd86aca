"""Cochran-Mantel-Haenszel against statsmodels and by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from statsmodels.stats.contingency_tables import StratifiedTable

from llmaudit.stats import cochran_mantel_haenszel

TABLES = st.integers(1, 8).flatmap(lambda strata: arrays(np.int64, (strata, 2, 2), elements=st.integers(1, 12)))


@given(TABLES)
def test_statsmodels_finds_the_same(tables: np.ndarray[tuple[int, int, int], np.dtype[np.int64]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = StratifiedTable([table.astype(float) for table in tables])
        expected = oracle.test_null_odds(correction=False).pvalue, oracle.oddsratio_pooled
    found = cochran_mantel_haenszel(tables)
    assert found.p_value == pytest.approx(expected[0], rel=1e-9, abs=1e-12)
    assert found.odds_ratio == pytest.approx(expected[1], rel=1e-9)


def test_one_table_by_hand() -> None:
    # Expected 5 * 6 / 10 = 3 of the 5; variance 5 * 5 * 6 * 4 / (100 * 9) = 2/3; (4 - 3)^2 / (2/3) = 1.5.
    found = cochran_mantel_haenszel([[[4, 1], [2, 3]]])
    assert found.odds_ratio == pytest.approx(6)
    assert found.p_value == pytest.approx(0.2206714)


def test_groups_swapped_turn_the_odds_around() -> None:
    tables = np.array([[[4, 1], [2, 3]], [[3, 3], [1, 4]]])
    one, other = cochran_mantel_haenszel(tables), cochran_mantel_haenszel(tables[:, ::-1])
    assert one.odds_ratio is not None
    assert other.odds_ratio == pytest.approx(1 / one.odds_ratio)
    assert one.p_value == pytest.approx(other.p_value)


@pytest.mark.parametrize(
    "tables",
    [
        [[[0, 5], [0, 5]]],  # nobody says yes
        [[[0, 0], [2, 3]]],  # one group is not there
        [[[1, 0], [0, 0]], [[0, 0], [0, 1]]],  # one answer in each stratum
        np.zeros((0, 2, 2)),
    ],
)
def test_tables_that_say_nothing_give_no_p(tables: object) -> None:
    assert cochran_mantel_haenszel(tables) == (None, None)  # type: ignore[arg-type]


def test_infinite_odds_are_no_number() -> None:
    found = cochran_mantel_haenszel([[[5, 0], [0, 5]]])
    assert found.odds_ratio is None
    assert found.p_value is not None
    assert found.p_value < 0.01


@pytest.mark.parametrize("tables", [[[1, 2], [3, 4]], [[[1, 2, 3], [4, 5, 6]]], [[[-1, 2], [3, 4]]]])
def test_what_is_no_table_of_counts(tables: object) -> None:
    with pytest.raises(ValueError, match="count"):
        cochran_mantel_haenszel(tables)  # type: ignore[arg-type]
