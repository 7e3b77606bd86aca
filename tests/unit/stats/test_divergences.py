"""Divergences of distributions, and their excess between groups: scipy, brute force, symmetry."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from llmaudit.stats.divergences import (
    exchange_p,
    jackknife_error,
    jensen_shannon,
    mean_difference_p,
    split_distances,
    total_variation,
)

SEEDS = st.integers(0, 10_000)


def distributions(seed: int, n: int = 6, outcomes: int = 9) -> NDArray[np.float64]:
    rows = np.random.default_rng(seed).dirichlet(np.full(outcomes, 0.3), n)
    rows[0, :3] = 0  # a probability of exactly 0 is one, too
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def distances(seed: int, k: int = 3) -> NDArray[np.float64]:
    return jensen_shannon(distributions(seed, 2 * k))


def excess(matrix: NDArray[np.float64], first: tuple[int, ...]) -> float:
    """By the definition, pair by pair."""
    second = tuple(i for i in range(len(matrix)) if i not in first)
    between = np.mean([matrix[i, j] for i, j in product(first, second)])
    within = [np.mean([matrix[i, j] for i, j in combinations(side, 2)]) for side in (first, second)]
    return float(between - np.mean(within))


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_jensen_shannon_is_the_square_of_scipys_distance(seed: int) -> None:
    rows = distributions(seed)
    expected = [[jensenshannon(p, q, base=2) ** 2 for q in rows] for p in rows]
    assert jensen_shannon(rows) == pytest.approx(np.array(expected), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_divergences_lie_between_0_and_1_and_agree_with_each_other(seed: int) -> None:
    rows = distributions(seed)
    jsd, tv = jensen_shannon(rows), total_variation(rows)
    for matrix in (jsd, tv):
        assert (matrix == matrix.T).all()
        assert not np.diagonal(matrix).any()
        assert ((matrix >= 0) & (matrix <= 1)).all()
    assert (jsd <= tv + 1e-12).all()  # Lin 1991, theorem 3


def test_nothing_in_common_is_1_and_the_same_is_0() -> None:
    rows = np.array([[1.0, 0, 0], [0, 0.5, 0.5], [1.0, 0, 0]])
    for matrix in (jensen_shannon(rows), total_variation(rows)):
        assert matrix == pytest.approx(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]), abs=1e-15)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(2, 4))
def test_the_excess_is_that_of_its_definition(seed: int, k: int) -> None:
    matrix = distances(seed, k)
    split = split_distances(matrix)
    assert float(split.excess) == pytest.approx(excess(matrix, tuple(range(k))), abs=1e-12)
    stacked = split_distances(np.array([matrix, 2 * matrix]))
    assert stacked.excess == pytest.approx(np.array([1, 2]) * float(split.excess), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_over_all_ways_to_deal_names_out_the_excess_is_zero_on_average(seed: int) -> None:
    matrix = distances(seed)
    every = [excess(matrix, first) for first in combinations(range(6), 3)]
    assert np.mean(every) == pytest.approx(0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_exchange_p_by_brute_force(seed: int) -> None:
    matrix = distances(seed)
    every = np.array([excess(matrix, first) for first in combinations(range(6), 3)])
    assert exchange_p(matrix, seed=0) == np.mean(every >= every[0] - 1e-12)


def test_exchange_p_of_two_far_groups_is_the_smallest_there_is() -> None:
    matrix = np.ones((8, 8)) - np.kron(np.eye(2), np.ones((4, 4)))
    assert exchange_p(matrix, seed=0) == 2 / math.comb(8, 4)
    matrix = np.ones((18, 18)) - np.kron(np.eye(2), np.ones((9, 9)))
    assert exchange_p(matrix, seed=0) < 2 / 1000  # 48,620 ways: drawn


def test_exchange_p_where_nothing_differs_is_1() -> None:
    assert exchange_p(np.zeros((6, 6)), seed=0) == 1
    assert exchange_p(np.ones((6, 6)) - np.eye(6), seed=0) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-9, 9), min_size=8, max_size=8))
def test_the_p_of_a_difference_of_means_is_scipys(values: list[int]) -> None:
    x, y = np.array(values[:4]) / 8, np.array(values[4:]) / 8
    expected = stats.permutation_test((x, y), lambda a, b, axis: a.mean(axis) - b.mean(axis), vectorized=True)
    assert mean_difference_p(x, y, seed=0) == pytest.approx(expected.pvalue)


def test_the_jackknife_error_by_hand_and_by_simulation() -> None:
    rng = np.random.default_rng(0)
    k, errors, values = 8, [], []
    for _ in range(300):
        points = np.concatenate([rng.normal(0, 1, k), rng.normal(2, 1, k)])
        matrix = (points[:, None] - points) ** 2
        values.append(float(split_distances(matrix).excess))
        errors.append(jackknife_error(matrix))
    # Squared distances: the excess estimates the squared distance of the means, which is 4.
    assert np.mean(values) == pytest.approx(4, abs=3 * float(np.std(values)) / math.sqrt(300))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(float(np.std(values)), rel=0.15)


def test_odd_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="two groups of equally many members"):
        split_distances(np.zeros((5, 5)))
    with pytest.raises(ValueError, match="two groups of equally many members"):
        mean_difference_p([1.0], [1.0, 2.0], seed=0)
    with pytest.raises(ValueError, match="leaving one of 2 members out"):
        jackknife_error(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="distributions by outcomes"):
        jensen_shannon([0.5, 0.5])
