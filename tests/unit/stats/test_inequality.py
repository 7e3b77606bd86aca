"""The Gini coefficient against what can be added up by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.stats import gini

AMOUNTS = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30)


def by_definition(values: list[float]) -> float:
    """Half the mean absolute difference of all pairs, over the mean."""
    array = np.array(values)
    return float(np.abs(array[:, None] - array).mean() / 2 / array.mean())


def test_textbook_values() -> None:
    assert gini([5, 5, 5, 5]) == 0
    assert gini([1, 2, 3, 4, 5]) == pytest.approx(4 / 15)
    assert gini([0, 0, 0, 1]) == pytest.approx(3 / 4)
    assert gini([1, 3]) == pytest.approx(1 / 4)
    assert gini([7]) == 0


def test_nothing_to_share_is_no_number() -> None:
    assert np.isnan(gini([0.0, 0.0]))
    assert np.isnan(gini([]))
    assert np.isnan(gini([1.0, np.nan]))


def test_negative_amounts_are_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        gini([1, -1])


def test_many_at_once() -> None:
    assert gini([[1, 3], [2, 2]]) == pytest.approx([0.25, 0])


@given(AMOUNTS)
def test_it_is_its_definition_and_lies_between_equality_and_one_owner(values: list[float]) -> None:
    found = float(gini(values))
    assert found == pytest.approx(by_definition(values), abs=1e-9)
    assert -1e-12 <= found <= 1 - 1 / len(values) + 1e-12


@given(AMOUNTS, st.floats(0.01, 100))
def test_neither_order_nor_unit_nor_doubling_everybody_matters(values: list[float], factor: float) -> None:
    found = float(gini(values))
    assert float(gini([factor * value for value in reversed(values)])) == pytest.approx(found, abs=1e-9)
    assert float(gini(values + values)) == pytest.approx(found, abs=1e-9)


@given(st.lists(st.floats(1, 1000), min_size=2, max_size=10), st.floats(0.01, 0.99))
def test_a_gift_from_the_richest_to_the_poorest_lowers_it(values: list[float], share: float) -> None:
    # The principle of transfers (Pigou 1912, Dalton 1920): a gift of less than half the difference.
    values = sorted(values)
    gift = share * (values[-1] - values[0]) / 2
    assert float(gini([values[0] + gift, *values[1:-1], values[-1] - gift])) <= float(gini(values)) + 1e-12
