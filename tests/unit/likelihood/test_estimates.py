from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llmaudit.audit import Metric
from llmaudit.likelihood.estimates import Column, Facets, estimate_of, excess_over, faceted
from llmaudit.stats import ratio_interval
from llmaudit.types import Estimate

METRIC = Metric("a mean", "nats", "zero")
SHARES = (0.0, 100.0)

values = st.lists(st.tuples(st.integers(0, 15), st.floats(-50, 50)), min_size=1, max_size=60)


def column(pairs: list[tuple[int, float]], bounds: tuple[float, float] | None = None) -> Column:
    return Column(np.array([value for _, value in pairs]), tuple(f"c{cluster}" for cluster, _ in pairs), bounds)


def estimate(of: Column) -> Estimate:
    return estimate_of("m", METRIC, of, seed=0)


@settings(deadline=None, max_examples=50)
@given(values)
def test_the_value_is_the_mean_over_items_whatever_the_clusters(pairs: list[tuple[int, float]]) -> None:
    found = estimate(column(pairs))
    assert found.value == pytest.approx(np.mean([value for _, value in pairs]), abs=1e-9)
    assert (found.n, found.clusters) == (len(pairs), len({cluster for cluster, _ in pairs}))
    if found.interval:
        assert found.interval.low - 1e-9 <= found.value <= found.interval.high + 1e-9


def test_with_equal_clusters_it_is_the_t_interval_of_their_means() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=12)
    table = means[:, None] + rng.normal(size=(12, 5))
    found = estimate(Column(table.ravel(), tuple(f"c{row}" for row in range(12) for _ in range(5))))
    expected = stats.ttest_1samp(table.mean(axis=1), 0).confidence_interval(0.90)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected))
    assert found.p_value == pytest.approx(stats.ttest_1samp(table.mean(axis=1), 0).pvalue, abs=0.05)


def test_items_of_a_cluster_are_not_independent() -> None:
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(15), 20)
    noise = rng.normal(size=15)[clusters] + rng.normal(size=300) / 10
    clustered = estimate(Column(noise, tuple(map(str, clusters)))).interval
    alone = estimate(Column(noise, tuple(map(str, range(300))))).interval
    assert clustered is not None
    assert alone is not None
    assert clustered.high - clustered.low > 3 * (alone.high - alone.low)


def test_clusters_can_weigh_the_same() -> None:
    of = Column(np.array([0.0, 0, 0, 100]), ("a", "a", "a", "b"), SHARES, 50.0, weight="clusters")
    assert estimate(of).value == 50


@pytest.mark.parametrize("share", [0.0, 50.0, 100.0])
def test_clusters_that_are_all_alike_are_no_certainty_about_a_share(share: float) -> None:
    per_cluster = [share, share] if share != 50 else [0.0, 100.0]
    of = Column(np.array(per_cluster * 10), tuple(f"c{n // 2}" for n in range(20)), SHARES, 50.0)
    interval = estimate(of).interval
    differing = 1 - 0.05 ** (1 / 10)
    assert interval is not None
    assert interval.low == pytest.approx(share - share * differing)
    assert interval.high == pytest.approx(share + (100 - share) * differing)


@pytest.mark.parametrize(("unlike", "rare"), [(1, True), (4, True), (5, False)])
def test_a_few_clusters_that_differ_make_a_share_no_surer(unlike: int, rare: bool) -> None:
    shares = np.full(100, 100.0)
    shares[: 4 * unlike : 4] = 0.0  # one of the four items of each
    clusters = tuple(f"c{n // 4}" for n in range(100))
    found = estimate(Column(shares, clusters, SHARES, 50.0))
    plain = ratio_interval(shares.reshape(25, 4).sum(axis=1), np.full(25, 4.0))
    assert found.interval is not None
    assert plain is not None
    # One cluster alone: Fieller's 97.3 to 100 points, where none at all gives 88.7 to 100.
    assert (found.interval.low < 100 * 0.05 ** (1 / 25)) == rare
    assert (found.interval.low == pytest.approx(plain.low)) != rare


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0.0, 100.0])), min_size=2, max_size=60))
def test_the_interval_of_a_share_stays_inside_its_bounds_and_has_a_width(pairs: list[tuple[int, float]]) -> None:
    interval = estimate(column(pairs, SHARES)).interval
    if interval is not None:
        assert 0 <= interval.low < interval.high <= 100


def test_missing_answers_are_counted_and_too_many_decide_nothing() -> None:
    some = [1.0, math.nan, 2.0, 3.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    found = estimate(Column(np.array(some), tuple(map(str, range(10)))))
    assert (found.n, found.missing, found.problem) == (9, 1, None)
    many = [math.nan] * 3 + some[3:]
    assert estimate(Column(np.array(many), tuple(map(str, range(10))))).problem == (
        "3 of 10 items have no usable answer (at most 20% may be missing)"
    )


def test_nothing_at_all_is_nan_with_a_reason() -> None:
    found = estimate(Column(np.full(4, math.nan), ("a", "b", "c", "d")))
    assert math.isnan(found.value)
    assert found.interval is None
    assert found.problem == "there are no answers"
    assert estimate(Column(np.array([]), (), nothing="undefined")).problem == "undefined"


def test_a_cluster_may_span_parts_and_each_part_uses_its_own_items() -> None:
    of = Column(np.array([1.0, 2, 3, 4]), ("w", "w", "v", "v"))
    found = faceted("m", METRIC, of, Facets.by(["x", "y", "x", "y"]), seed=0)
    assert {name: each.value for name, each in found.items()} == {"m": 2.5, "m.x": 2.0, "m.y": 3.0}
    assert found["m.x"].cluster_values == {"w": 1.0, "v": 3.0}


def test_the_excess_over_controls_is_a_welch_interval() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(3, 1, 20), rng.normal(2, 2, 30)
    of, controls = (Column(each, tuple(map(str, range(len(each))))) for each in (first, second))
    found = excess_over("m", METRIC, of, controls)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.90)
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected))
    assert (found.n, found.clusters) == (50, 20)


@pytest.mark.parametrize("values", [[math.nan, math.nan], [1.0, math.nan]])
def test_an_excess_over_too_few_controls_has_no_interval(values: list[float]) -> None:
    of = Column(np.array([1.0, 2.0, 3.0]), ("a", "b", "c"))
    found = excess_over("m", METRIC, of, Column(np.array(values), ("x", "y")))
    assert found.interval is None
    assert found.problem is not None


def test_an_excess_without_any_variation_is_exact() -> None:
    of = Column(np.array([1.0, 1.0]), ("a", "b"))
    interval = excess_over("m", METRIC, of, of).interval
    assert interval is not None
    assert (interval.low, interval.high) == (0, 0)
