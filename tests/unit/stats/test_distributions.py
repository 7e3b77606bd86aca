"""The distributional gap against scipy's distance and against every permutation there is."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from llmaudit.stats import wasserstein_excess

Array = NDArray[np.float64]


def distance(cluster: Array) -> float:
    """Mean pairwise distance of one cluster, shape (groups, samples), by scipy."""
    return float(np.mean([stats.wasserstein_distance(a, b) for a, b in itertools.combinations(cluster, 2)]))


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_the_observed_distance_is_that_of_scipy(groups: int) -> None:
    scores = np.random.default_rng(1).normal(size=(4, groups, 6))
    found = wasserstein_excess(scores, 0)
    assert found.observed == pytest.approx([distance(cluster) for cluster in scores])


@pytest.mark.parametrize("shape", [(2, 2, 3), (1, 3, 2)])
def test_the_null_is_that_of_every_permutation(shape: tuple[int, int, int]) -> None:
    scores = np.random.default_rng(2).normal(size=shape) + np.arange(shape[1])[:, None] / 2
    orders = list(itertools.permutations(range(shape[1])))
    # Every way to order the groups at every index of every cluster.
    per_cluster = [
        np.array(
            [
                distance(np.stack([cluster[list(order), index] for index, order in enumerate(chosen)], axis=1))
                for chosen in itertools.product(orders, repeat=shape[2])
            ]
        )
        for cluster in scores
    ]
    sums = [sum(combination) for combination in itertools.product(*per_cluster)]
    observed = sum(distance(cluster) for cluster in scores)
    found = wasserstein_excess(scores, 0, resamples=20_000)
    assert found.null == pytest.approx([each.mean() for each in per_cluster], abs=0.01)
    assert found.p_value == pytest.approx(np.mean(np.array(sums) >= observed - 1e-9), abs=0.015)
    assert found.excess == pytest.approx(found.observed - found.null)


def test_groups_that_do_not_differ_have_no_excess_and_uniform_p_values() -> None:
    rng = np.random.default_rng(3)
    # Common random numbers make the scores of one index alike; that must not matter.
    found = [
        wasserstein_excess(rng.normal(size=(12, 1, 4)) + 0.3 * rng.normal(size=(12, 3, 4)), n, 199) for n in range(300)
    ]
    excess = np.array([each.excess.mean() for each in found])
    assert abs(excess.mean()) < 4 * excess.std() / math.sqrt(len(excess))
    p_values = np.array([each.p_value for each in found])
    assert np.mean(p_values <= 0.05) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)
    assert 0.4 < p_values.mean() < 0.6


def test_a_difference_in_spread_alone_is_found() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(30, 2, 8)) * np.array([0.2, 2.0])[:, None]
    found = wasserstein_excess(scores, 0)
    assert found.excess.mean() > 0.3
    assert found.p_value == pytest.approx(1 / 1000)


def test_answers_that_are_the_same_for_every_group_have_no_distance_and_no_null() -> None:
    scores = np.repeat(np.random.default_rng(5).normal(size=(3, 1, 4)), 2, axis=1)
    found = wasserstein_excess(scores, 0)
    assert found.observed.tolist() == found.null.tolist() == [0, 0, 0]
    assert found.p_value == 1


def test_an_index_with_a_missing_score_is_left_out_and_a_cluster_needs_two() -> None:
    scores = np.random.default_rng(6).normal(size=(3, 2, 4))
    scores[0, 1, 2] = np.nan
    scores[1, 0, 1:] = np.nan
    found = wasserstein_excess(scores, 0)
    assert found.observed[0] == pytest.approx(distance(scores[0][:, [0, 1, 3]]))
    assert math.isnan(found.excess[1])
    assert math.isfinite(found.excess[2])
    assert wasserstein_excess(np.full((2, 2, 3), np.nan), 0).p_value is None


def test_the_same_seed_gives_the_same_null() -> None:
    scores = np.random.default_rng(7).normal(size=(3, 2, 4))
    assert wasserstein_excess(scores, 1).null.tolist() == wasserstein_excess(scores, 1).null.tolist()
    assert wasserstein_excess(scores, 1).null.tolist() != wasserstein_excess(scores, 2).null.tolist()


@pytest.mark.parametrize("shape", [(3, 4), (3, 1, 4)])
def test_what_has_no_pair_of_groups(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="2 groups or more"):
        wasserstein_excess(np.zeros(shape), 0)
