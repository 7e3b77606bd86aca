"""The intervals: what they contain, how they move with the data, and what degenerate data give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from llmaudit.stats.intervals import (
    MIN_BOOTSTRAP_CLUSTERS,
    bca_cluster_bootstrap,
    clopper_pearson,
    ratio_interval,
    ratio_intervals,
    simultaneous_ratio_intervals,
    simultaneous_t_intervals,
    t_interval,
    wilson,
    worst_absolute,
    worst_of,
)
from llmaudit.types import Interval

GRID = st.integers(-1000, 1000).map(lambda value: value / 8)  # sums and shifts of eighths are exact
CLUSTERS = st.lists(GRID, min_size=2, max_size=40)
LEVELS = st.floats(0.5, 0.99)


def bounds(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    assert interval.low <= interval.high
    return interval.low, interval.high


@given(CLUSTERS, LEVELS)
def test_t_interval_contains_the_mean_and_widens_with_the_level(values: list[float], level: float) -> None:
    low, high = bounds(t_interval(values, level))
    wider_low, wider_high = bounds(t_interval(values, (1 + level) / 2))
    assert wider_low <= low <= np.mean(values) <= high <= wider_high


@given(CLUSTERS, GRID, st.sampled_from([0.25, 2.0, 8.0]))
def test_t_interval_moves_with_shift_and_scale(values: list[float], shift: float, scale: float) -> None:
    low, high = bounds(t_interval(values))
    moved = bounds(t_interval([scale * value + shift for value in values]))
    assert moved == pytest.approx((scale * low + shift, scale * high + shift), rel=1e-9, abs=1e-9)


@given(CLUSTERS)
def test_t_interval_of_the_opposite_sign_is_mirrored(values: list[float]) -> None:
    low, high = bounds(t_interval(values))
    assert bounds(t_interval([-value for value in values])) == pytest.approx((-high, -low), abs=1e-12)


def test_t_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 12)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.90)
    assert bounds(t_interval(values)) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf, 2.0], [1e308, -1e308, 1e308]])
def test_t_interval_is_none_where_the_data_allow_none(values: list[float]) -> None:
    assert t_interval(values) is None


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e-320])
def test_t_interval_of_constant_data_has_no_width(value: float) -> None:
    assert t_interval([value] * 3) == Interval(value, value, 0.90, "t on cluster means")


def test_rounding_is_not_variation() -> None:
    low, high = bounds(t_interval([0.3, 0.1 + 0.2, 0.3]))
    assert low == high


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="level lies between 0 and 1"):
        t_interval([1, 2], 1.0)
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        t_interval([[1, 2], [3, 4]])
    with pytest.raises(ValueError, match="3 successes of 2 items"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="1 numerators for 2 denominators"):
        ratio_interval([1], [1, 2])
    with pytest.raises(ValueError, match="none is negative"):
        ratio_interval([1, 2], [1, -2])


@given(st.lists(CLUSTERS, min_size=1, max_size=5))
def test_simultaneous_intervals_are_t_intervals_at_the_bonferroni_level(columns: list[list[float]]) -> None:
    found = simultaneous_t_intervals(columns)
    for column, interval in zip(columns, found, strict=True):
        assert bounds(interval) == pytest.approx(bounds(t_interval(column, 1 - 0.10 / len(columns))))
        assert interval is not None
        assert (interval.level, interval.method) == (0.90, f"simultaneous t (Bonferroni over {len(columns)})")


def test_a_column_without_an_interval_still_counts() -> None:
    found = simultaneous_t_intervals([[1, 2, 4], [1, math.nan]])
    assert found[1] is None
    assert bounds(found[0]) == bounds(t_interval([1, 2, 4], 0.95))
    assert simultaneous_t_intervals([]) == []


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), LEVELS)
def test_binomial_intervals_contain_the_proportion(counts: tuple[int, int], level: float) -> None:
    for interval in (wilson, clopper_pearson):
        low, high = bounds(interval(*counts, level))
        assert 0 <= low <= counts[0] / counts[1] + 1e-12
        assert counts[0] / counts[1] - 1e-12 <= high <= 1


def test_binomial_intervals_without_items_are_none() -> None:
    assert wilson(0, 0) is None
    assert clopper_pearson(0, 0) is None


def test_bootstrap_needs_clusters() -> None:
    values = np.random.default_rng(0).normal(size=MIN_BOOTSTRAP_CLUSTERS)
    assert bca_cluster_bootstrap(values[1:]) is None
    low, high = bounds(bca_cluster_bootstrap(values))
    assert low < values.mean() < high


def test_bootstrap_depends_on_the_seed_alone() -> None:
    values = np.random.default_rng(0).normal(size=40)
    assert bca_cluster_bootstrap(values, seed=1) == bca_cluster_bootstrap(values, seed=1)
    assert bca_cluster_bootstrap(values, seed=1) != bca_cluster_bootstrap(values, seed=2)


def test_bootstrap_of_a_mean_is_close_to_the_t_interval() -> None:
    values = np.random.default_rng(0).normal(size=200)
    assert bounds(bca_cluster_bootstrap(values)) == pytest.approx(bounds(t_interval(values)), abs=0.01)


@pytest.mark.parametrize("clusters", [2, 29, 30])
def test_ratios_of_constant_data_have_no_width(clusters: int) -> None:
    words = np.arange(1.0, clusters + 1)
    low, high = bounds(ratio_interval(1.3 * words, words))
    assert low == high == pytest.approx(1.3, abs=1e-15)
    assert bounds(ratio_interval(np.zeros(clusters), words)) == (0, 0)


@pytest.mark.parametrize("clusters", [2, 30])
def test_undefined_ratios_give_none(clusters: int) -> None:
    tokens = np.arange(1.0, clusters + 1)
    assert ratio_interval(tokens, np.zeros(clusters)) is None
    assert ratio_interval(tokens, np.where(tokens == 1, math.nan, 1.0)) is None
    assert ratio_interval(tokens[:1], tokens[:1]) is None
    # One cluster holds every word: some resamples hold none, and Fieller's set is the whole line.
    assert ratio_interval(tokens, np.where(tokens == 1, 5.0, 0.0)) is None


@given(st.lists(st.tuples(st.integers(50, 90), st.integers(40, 60)), min_size=2, max_size=45), LEVELS)
def test_fieller_contains_the_ratio_and_widens_with_the_level(pairs: list[tuple[int, int]], level: float) -> None:
    over, under = zip(*pairs, strict=True)
    narrow = simultaneous_ratio_intervals([over], [under], level)[0]
    wide = simultaneous_ratio_intervals([over], [under], (1 + level) / 2)[0]
    assume(narrow is not None)  # two clusters may not bound a ratio
    assert bounds(narrow)[0] <= sum(over) / sum(under) * (1 + 1e-12)
    assert bounds(narrow)[1] >= sum(over) / sum(under) * (1 - 1e-12)
    if wide is not None:
        assert wide.low <= bounds(narrow)[0]
        assert wide.high >= bounds(narrow)[1]


def test_fieller_is_the_set_of_ratios_that_a_t_test_does_not_reject() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(10, 40, 12)
    tokens = words * rng.normal(1.4, 0.2, 12)
    for bound in bounds(ratio_interval(tokens, words)):
        assert stats.ttest_1samp(tokens - bound * words, 0).pvalue == pytest.approx(0.10)


def test_fieller_with_equal_denominators_is_the_t_interval() -> None:
    tokens = np.random.default_rng(0).normal(5, 1, 12)
    low, high = bounds(t_interval(tokens))
    assert bounds(ratio_interval(tokens, np.full(12, 4.0))) == pytest.approx((low / 4, high / 4))


def test_ratio_intervals_change_method_at_thirty_clusters() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(10, 40, 30)
    tokens = words * rng.normal(1.4, 0.2, 30)
    few, enough = ratio_interval(tokens[:29], words[:29]), ratio_interval(tokens, words)
    assert few is not None
    assert enough is not None
    assert (few.method, enough.method) == ("Fieller on cluster sums", "BCa cluster bootstrap")
    assert bounds(few) == pytest.approx(bounds(enough), abs=0.03)


def interval(low: float, high: float, level: float = 0.90) -> Interval:
    return Interval(low, high, level, "simultaneous")


FACETS = st.lists(st.tuples(GRID, GRID, GRID).map(sorted), min_size=1, max_size=6)


@given(FACETS)
def test_the_worst_absolute_interval_bounds_every_facet(facets: list[list[float]]) -> None:
    worst = worst_absolute([interval(low, high) for low, _, high in facets], [value for _, value, _ in facets])
    low, high = bounds(worst.interval)
    assert worst.value == max(abs(value) for _, value, _ in facets) == abs(facets[worst.facet][1])
    assert low <= worst.value <= high
    assert high == max(max(abs(low), abs(high)) for low, _, high in facets)
    assert low == max(max(0, low, -high) for low, _, high in facets)


@given(FACETS)
def test_the_worst_of_both_directions_mirror_each_other(facets: list[list[float]]) -> None:
    intervals = [interval(low, high) for low, _, high in facets]
    mirrored = [interval(-high, -low) for low, _, high in facets]
    values = [value for _, value, _ in facets]
    lower, higher = worst_of(intervals, values, "lower"), worst_of(mirrored, [-v for v in values], "higher")
    assert lower.facet == higher.facet
    assert (lower.value, *bounds(lower.interval)) == (
        -higher.value,
        *(-bound for bound in bounds(higher.interval)[::-1]),
    )
    assert worst_of(intervals, values, "zero") == worst_absolute(intervals, values)


def test_an_unmeasured_facet_leaves_the_worst_one_open() -> None:
    worst = worst_absolute([interval(1, 2), None], [1.5, math.nan])
    assert worst == (0, 1.5, None)
    nothing = worst_absolute([None], [math.nan])
    assert nothing.interval is None
    assert math.isnan(nothing.value)


def test_facets_must_fit_together() -> None:
    with pytest.raises(ValueError, match="0 intervals for 0 facets"):
        worst_of([], [], "lower")
    with pytest.raises(ValueError, match="1 intervals for 2 facets"):
        worst_of([None], [1.0, 2.0], "lower")
    with pytest.raises(ValueError, match="one simultaneous level"):
        worst_of([interval(0, 1), interval(0, 1, 0.95)], [0.5, 0.5], "higher")


def test_many_ratios_at_once_have_the_intervals_of_each() -> None:
    rng = np.random.default_rng(3)
    unders = [rng.integers(1, 40, size).astype(float) for size in (40, 40, 12, 40, 55, 40)]
    overs = [under * 1.5 + rng.normal(0, 3, under.size) for under in unders]
    overs[1], overs[3][0] = 2 * unders[1], math.nan  # one that all clusters share, and one that cannot be used
    together = ratio_intervals(overs, unders)
    for over, under, found in zip(overs, unders, together, strict=True):
        alone = ratio_interval(over, under)
        if alone is None:
            assert found is None
        else:
            assert bounds(found) == pytest.approx(bounds(alone), rel=1e-12)
            assert found is not None
            assert found.method == alone.method
    assert together[3] is None
    assert bounds(together[1]) == (2, 2)


def test_the_bootstrap_of_a_ratio_is_scipys() -> None:
    rng = np.random.default_rng(4)
    under = rng.integers(1, 40, 60).astype(float)
    over = under * 1.5 + rng.normal(0, 3, 60)
    expected = stats.bootstrap(
        (over, under),
        lambda a, b, axis: a.sum(axis) / b.sum(axis),
        paired=True,
        vectorized=True,
        method="BCa",
        confidence_level=0.9,
        n_resamples=9999,
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert bounds(bca_cluster_bootstrap(over, under)) == pytest.approx((expected.low, expected.high), rel=1e-3)


def test_no_ratio_no_interval() -> None:
    assert ratio_intervals([], []) == []
