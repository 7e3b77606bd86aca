"""Quantiles of a pooled sample and their cluster bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmaudit.stats import cluster_quantile_intervals, pooled_quantile, quantile_needs


@pytest.mark.parametrize(("quantile", "value"), [(0.1, 1.0), (0.5, 5.0), (0.51, 6.0), (0.9, 9.0), (0.99, 10.0)])
def test_the_smallest_value_that_a_share_does_not_exceed(quantile: float, value: float) -> None:
    assert pooled_quantile(range(1, 11), quantile) == value


def test_of_nothing_there_is_none() -> None:
    assert math.isnan(pooled_quantile([], 0.5))


@pytest.mark.parametrize(("quantile", "needed"), [(0.5, 5), (0.95, 59), (0.99, 299), (0.999, 2995)])
def test_how_many_values_bound_a_quantile(quantile: float, needed: int) -> None:
    assert quantile_needs(quantile) == needed
    assert quantile**needed <= 0.05 < quantile ** (needed - 1)


def sample(clusters: int, size: int = 20, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shift = np.repeat(rng.normal(size=clusters), size)
    return shift + rng.normal(size=clusters * size), np.repeat(np.arange(clusters), size)


def test_the_interval_holds_the_estimate_and_widens_with_the_level() -> None:
    values, clusters = sample(40)
    ((narrow, wide), (upper, _)) = cluster_quantile_intervals(values, clusters, [0.5, 0.9], [0.9, 0.98])
    assert narrow is not None
    assert wide is not None
    assert upper is not None
    assert wide.low < narrow.low <= pooled_quantile(values, 0.5) <= narrow.high < wide.high
    assert upper.low > narrow.low
    assert (narrow.level, narrow.method) == (0.9, "percentile cluster bootstrap")


def test_the_median_covers_at_its_level() -> None:
    found = 0
    for seed in range(60):
        values, clusters = sample(40, 5, seed)
        ((interval,),) = cluster_quantile_intervals(values, clusters, [0.5], seed=seed)
        assert interval is not None
        found += interval.low <= 0 <= interval.high
    # 90 % of 60 is 54; fewer than 46 would have a probability of 0.001.
    assert found >= 46


def test_samples_of_a_cluster_are_not_independent() -> None:
    values, clusters = sample(40)
    ((together,),) = cluster_quantile_intervals(values, clusters, [0.5])
    ((apart,),) = cluster_quantile_intervals(values, np.arange(len(values)), [0.5])
    assert together is not None
    assert apart is not None
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_few_clusters_few_values_and_no_number_give_none() -> None:
    values, clusters = sample(29)
    assert cluster_quantile_intervals(values, clusters, [0.5], [0.9, 0.95]) == [[None, None]]
    values, clusters = sample(30)
    assert cluster_quantile_intervals(values, clusters, [0.999]) == [[None]]
    assert cluster_quantile_intervals(np.append(values, np.nan), np.append(clusters, 0), [0.5]) == [[None]]
    assert cluster_quantile_intervals([], [], [0.5]) == [[None]]


@pytest.mark.parametrize("value", [-3.5, 0.0, 0.1, 1e6])
def test_constant_values_have_an_interval_without_width(value: float) -> None:
    ((interval,),) = cluster_quantile_intervals([value] * 60, list(range(60)), [0.5])
    assert interval is not None
    assert interval.low == interval.high == value


def test_the_seed_decides() -> None:
    values, clusters = sample(30)
    assert cluster_quantile_intervals(values, clusters, [0.5], seed=3) == cluster_quantile_intervals(
        values, clusters, [0.5], seed=3
    )
    assert cluster_quantile_intervals(values, clusters, [0.9], seed=3) != cluster_quantile_intervals(
        values, clusters, [0.9], seed=4
    )


def test_misuse_is_told() -> None:
    with pytest.raises(ValueError, match="one cluster per value"):
        cluster_quantile_intervals([1, 2], [1], [0.5])
    with pytest.raises(ValueError, match="between 0 and 1"):
        cluster_quantile_intervals([1, 2], [1, 2], [1.0])
