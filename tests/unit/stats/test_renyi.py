"""Renyi efficiency against closed forms."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from llmaudit.stats import RENYI_ORDER, renyi_efficiency, renyi_efficiency_without_each

COUNTS = st.lists(st.integers(1, 1000), min_size=2, max_size=40).map(np.array)


def test_a_vocabulary_used_evenly_is_used_wholly() -> None:
    assert renyi_efficiency(np.full(64, 7), 64) == pytest.approx(1.0)


def test_a_vocabulary_of_which_a_root_is_used_evenly_is_half_used() -> None:
    assert renyi_efficiency(np.full(8, 3), 64) == pytest.approx(0.5)


def test_one_token_alone_uses_nothing() -> None:
    assert renyi_efficiency(np.array([5, 0]), 64) == pytest.approx(0.0)


def test_by_hand() -> None:
    # Shares 3/4 and 1/4, order 2: -ln(9/16 + 1/16) = ln(8/5), over ln 2.
    assert renyi_efficiency(np.array([3, 1]), 2, order=2) == pytest.approx(math.log(8 / 5) / math.log(2))


def test_near_order_one_it_is_shannons() -> None:
    counts = np.array([5, 3, 2, 2])
    assert renyi_efficiency(counts, 16, order=1 + 1e-7) == pytest.approx(stats.entropy(counts) / math.log(16), abs=1e-6)


def test_nothing_used_is_no_number() -> None:
    assert math.isnan(renyi_efficiency(np.zeros(3, dtype=np.int64), 8))
    assert renyi_efficiency_without_each([], 8).size == 0
    assert np.isnan(renyi_efficiency_without_each([np.array([1, 2])], 8)).all()


@pytest.mark.parametrize(
    ("counts", "vocabulary", "order", "message"),
    [
        ([1, 1], 1, 2.5, "vocabulary of 1"),
        ([1, 1, 1], 2, 2.5, "3 types of a vocabulary of 2"),
        ([1, -1], 4, 2.5, "types of a vocabulary"),
        ([1, 1], 4, 1.0, "order"),
        ([1, 1], 4, -1.0, "order"),
    ],
)
def test_what_has_no_efficiency(counts: list[int], vocabulary: int, order: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        renyi_efficiency(np.array(counts), vocabulary, order)


def test_more_types_than_a_vocabulary_has() -> None:
    with pytest.raises(ValueError, match="3 types of a vocabulary of 2"):
        renyi_efficiency_without_each([np.array([1, 2, 3])], 2)


@given(COUNTS)
def test_it_lies_in_the_unit_interval_and_falls_with_the_order(counts: NDArray[np.int64]) -> None:
    found = [renyi_efficiency(counts, 64, order) for order in (0, 0.5, 2, RENYI_ORDER, 10)]
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in found)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(found))


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), min_size=2, max_size=6))
def test_leaving_a_cluster_out_is_counting_without_it(clusters: list[list[int]]) -> None:
    arrays = [np.array(each, dtype=np.int64) for each in clusters]
    found = renyi_efficiency_without_each(arrays, 16)
    for number in range(len(arrays)):
        rest = np.concatenate([each for place, each in enumerate(arrays) if place != number])
        assert found[number] == pytest.approx(renyi_efficiency(np.bincount(rest), 16), abs=1e-9)
