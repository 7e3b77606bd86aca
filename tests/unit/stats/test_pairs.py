"""Means over pairs, and the jackknife over items."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llmaudit.stats.association import cosine_similarities
from llmaudit.stats.pairs import pair_pseudo_values


def test_a_mean_of_items_has_the_standard_error_of_that_mean() -> None:
    # Where a pair has the mean of its two items, the mean over pairs is theirs, and the pseudo-values are the items.
    items = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    values = (items[:, None] + items[None, :]) / 2
    assert pair_pseudo_values(values) == pytest.approx(items)


def test_pseudo_values_are_those_of_leaving_one_out() -> None:
    values = np.random.default_rng(1).random((6, 6))
    values += values.T
    off = ~np.eye(6, dtype=bool)
    whole = values[off].mean()
    for item, found in enumerate(pair_pseudo_values(values)):
        kept = [other for other in range(6) if other != item]
        part = values[np.ix_(kept, kept)][~np.eye(5, dtype=bool)].mean()
        assert found == pytest.approx(6 * whole - 5 * part)


@given(st.integers(3, 10), st.integers(0, 2**32 - 1))
def test_their_mean_is_the_mean_over_pairs_whatever_the_diagonal(size: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(size, size))
    values += values.T
    expected = values[~np.eye(size, dtype=bool)].mean()
    assert pair_pseudo_values(values).mean() == pytest.approx(expected)
    np.fill_diagonal(values, 1e6)
    assert pair_pseudo_values(values).mean() == pytest.approx(expected, abs=1e-6)


def test_the_interval_keeps_its_level() -> None:
    # Vectors of a common direction and as much noise: the mean cosine that 2,000 other draws have is the true one.
    generator = np.random.default_rng(3)
    truth = np.mean([_mean_cosine(generator, 12) for _ in range(2000)])
    hits = 0
    for _ in range(400):
        each = pair_pseudo_values(cosine_similarities(_items(generator, 12)))
        half = stats.t.ppf(0.95, 11) * each.std(ddof=1) / math.sqrt(12)
        hits += abs(each.mean() - truth) <= half
    assert 0.84 <= hits / 400 <= 0.96


def _items(generator: np.random.Generator, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return generator.normal(size=(count, 1, 8)) + 1.0


def _mean_cosine(generator: np.random.Generator, count: int) -> float:
    values = cosine_similarities(_items(generator, count))
    return float(values[~np.eye(count, dtype=bool)].mean())


@pytest.mark.parametrize("shape", [(2, 2), (3,), (3, 4)])
def test_fewer_than_three_items_or_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="of all pairs of three or more items"):
        pair_pseudo_values(np.zeros(shape))
