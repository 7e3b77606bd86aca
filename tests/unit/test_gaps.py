"""Differences between groups, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from llmaudit.gaps import Cells, Scored, gap_estimates, group_means, level_interval, proportion_interval
from llmaudit.types import Estimate

Row = tuple[str, str, float]
NAN = math.nan


def table(rows: Sequence[Row], groups: Sequence[str] = ("a", "b")) -> tuple[Cells, NDArray[np.float64]]:
    cells = Cells.of([row[0] for row in rows], [row[1] for row in rows], groups)
    return cells, np.array([row[2] for row in rows])


def gaps(rows: Sequence[Row], groups: Sequence[str] = ("a", "b"), unit: str = "points") -> Mapping[str, Estimate]:
    cells, values = table(rows, groups)
    return gap_estimates(Scored("gap", unit, values), cells, seed=0, details={"reaction": 0.5})


def level(means: Mapping[str, Sequence[float]]) -> list[Row]:
    """One sample per cell."""
    return [(f"t{number}", group, value) for group, values in means.items() for number, value in enumerate(values)]


ROWS: list[Row] = [
    *(("t1", "a", 1.0), ("t1", "a", 3.0), ("t1", "b", 1.0), ("t1", "b", 1.0)),
    *(("t2", "a", 4.0), ("t2", "a", NAN), ("t2", "b", 2.0), ("t2", "b", 3.0)),
    *(("t3", "a", 0.0), ("t3", "a", 0.0), ("t3", "b", 1.0), ("t3", "b", 2.0)),
]


def test_cells_keep_the_order_of_clusters_and_groups() -> None:
    cells, _ = table([("t2", "b", 0.0), ("t1", "a", 0.0), ("t2", "a", 0.0)])
    assert (cells.clusters, cells.groups) == (("t2", "t1"), ("a", "b"))
    assert cells.rows.tolist() == [0, 1, 0]
    assert cells.columns.tolist() == [1, 0, 0]


def test_means_counts_and_missing_by_hand() -> None:
    cells, values = table(ROWS)
    assert cells.means(values).tolist() == [[2.0, 1.0], [4.0, 2.5], [0.0, 1.5]]
    assert cells.counts(np.isfinite(values)).tolist() == [[2, 2], [1, 2], [2, 2]]
    assert cells.missing(values).tolist() == pytest.approx([1 / 6, 0])


def test_a_cell_without_any_number_has_no_mean() -> None:
    cells, values = table([("t1", "a", NAN), ("t1", "b", 2.0), ("t2", "a", 1.0)])
    assert np.isnan(cells.means(values)).tolist() == [[True, False], [False, True]]


def test_a_group_without_samples_has_no_share_of_missing() -> None:
    cells, values = table([("t1", "a", 1.0)], ("a", "b"))
    assert cells.missing(values).tolist()[0] == 0
    assert math.isnan(cells.missing(values).tolist()[1])


def test_a_gap_by_hand() -> None:
    # Differences of template means: 1, 1.5, -1.5; mean 1/3, sd by hand.
    found = gaps(ROWS)["gap.a-b"]
    differences = [1.0, 1.5, -1.5]
    half = stats.t.ppf(0.95, 2) * float(np.std(differences, ddof=1)) / math.sqrt(3)
    assert found.value == pytest.approx(1 / 3)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((1 / 3 - half, 1 / 3 + half))
    assert found.interval.level == 0.90
    assert (found.n, found.clusters, found.missing) == (11, 3, 1)
    assert (found.unit, found.better) == ("points", "zero")
    assert found.cluster_values == {"t1": 1.0, "t2": 1.5, "t3": -1.5}
    # The sums of the 8 sign patterns are 4, 2, 1 and 1 in size: none is nearer to zero than the observed 1.
    assert found.p_value == 1
    assert found.details == {"reaction": 0.5, "sd between clusters": pytest.approx(float(np.std(differences, ddof=1)))}


def test_the_worst_gap_has_no_sign_and_its_own_null() -> None:
    worst = gaps(level({"a": [0.0] * 4, "b": [1.0] * 4}))["gap"]
    assert (worst.metric, worst.value, worst.better) == ("gap", 1.0, "lower")
    # Labels shuffled in 4 clusters: all alike in 2 of 16 cases, so the p over permutations is about 1/8.
    assert worst.p_value == pytest.approx(1 / 8, abs=0.02)
    assert worst.details["null 95th percentile"] == pytest.approx(1.0)
    # Mean |sum of four signs| / 4: (2*4 + 8*2 + 6*0)/16/4.
    assert worst.details["null mean"] == pytest.approx(0.375, abs=0.02)


def test_unequal_cells_weigh_by_cluster_and_not_by_sample() -> None:
    rows: list[Row] = [("t1", "a", 1.0)] * 9 + [("t1", "b", 0.0), ("t2", "a", 0.0), ("t2", "b", 0.0)]
    assert gaps(rows)["gap.a-b"].value == pytest.approx(0.5)


def test_a_cluster_with_one_group_only_is_left_out_and_said_to_be() -> None:
    found = gaps([*ROWS, ("t4", "a", 100.0), ("t4", "b", NAN)])["gap.a-b"]
    assert found.value == pytest.approx(1 / 3)
    assert found.clusters == 3
    assert math.isnan(found.cluster_values["t4"])


def test_the_worst_of_three_groups() -> None:
    noise = np.linspace(-0.1, 0.1, 12)
    means = {"a": list(0.1 + noise), "b": list(0.4 - noise), "c": list(0.2 + noise[::-1] / 2)}
    found = gaps(level(means), ("a", "b", "c"))
    assert list(found) == ["gap", "gap.a-b", "gap.a-c", "gap.b-c"]
    assert found["gap"].value == pytest.approx(0.3)
    assert found["gap.a-b"].value == pytest.approx(-0.3)
    assert found["gap.b-c"].value == pytest.approx(0.2)
    # The pair is judged on its own; the worst of three on intervals that hold together, hence wider.
    differences = 0.3 - 2 * noise
    interval, facet = found["gap"].interval, found["gap.a-b"].interval
    assert interval is not None
    assert facet is not None
    error = float(differences.std(ddof=1)) / math.sqrt(12)
    assert (facet.low, facet.high) == pytest.approx(
        (-0.3 - stats.t.ppf(0.95, 11) * error, -0.3 + stats.t.ppf(0.95, 11) * error)
    )
    half = stats.t.ppf(1 - 0.05 / 3, 11) * error
    assert (interval.low, interval.high) == pytest.approx((0.3 - half, 0.3 + half))
    assert "Bonferroni over 3" in interval.method
    # The null of a maximum over pairs lies above zero though nothing differs.
    assert found["gap"].details["null mean"] > 0
    assert found["gap"].cluster_values == found["gap.a-b"].cluster_values


@pytest.mark.parametrize(("groups", "facets"), [(("a", "b"), 1), (("a", "b", "c"), 3)])
def test_a_proportion_that_never_differed_gets_the_bound_of_clopper_and_pearson(
    groups: tuple[str, ...], facets: int
) -> None:
    found = gaps(level({group: [0.0] * 12 for group in groups}), groups, unit="proportion")
    for name, estimate in found.items():
        bound = 1 - (0.05 / (facets if name == "gap" else 1)) ** (1 / 12)
        assert estimate.value == 0
        assert estimate.interval is not None
        assert estimate.interval.high == pytest.approx(bound)
        assert estimate.interval.low == pytest.approx(0 if name == "gap" else -bound)
        assert "pseudo-clusters" in estimate.interval.method


def test_other_units_that_never_differed_get_an_interval_without_width() -> None:
    interval = gaps(level({"a": [0.0] * 12, "b": [0.0] * 12}))["gap.a-b"].interval
    assert interval is not None
    assert (interval.low, interval.high) == (0, 0)


@pytest.mark.parametrize("clusters", [6, 10, 20, 48])
@pytest.mark.parametrize("size", [0.1, 0.25, 1.0])
def test_more_events_never_make_a_proportion_look_better(clusters: int, size: float) -> None:
    # The plain t interval of one event in many clusters is narrower than the bound where none was seen.
    highs = []
    for events in range(4):
        column = np.array([size] * events + [0.0] * (clusters - events))
        interval = proportion_interval(column, 0.9)
        assert interval is not None
        assert interval.low <= column.mean() <= interval.high
        highs.append(interval.high)
    assert highs == sorted(highs)
    assert len(set(highs)) == len(highs)


@pytest.mark.parametrize(
    ("lost", "problem"),
    [
        ({"a": 0, "b": 0}, None),
        ({"a": 20, "b": 20}, None),
        ({"a": 10, "b": 0}, None),
        ({"a": 21, "b": 21}, "21% of the answers for a could not be used (at most 20%)"),
        ({"a": 0, "b": 50}, "50% of the answers for b could not be used (at most 20%)"),
        (
            {"a": 1, "b": 12},
            "answers are not missing at random: 12% could not be used for b, 1% for a",
        ),
        ({"a": 100, "b": 0}, "100% of the answers for a could not be used (at most 20%)"),
    ],
)
def test_too_much_missing_cannot_be_judged(lost: Mapping[str, int], problem: str | None) -> None:
    rows = [
        (f"t{number % 10}", group, NAN if number < lost[group] else float(number % 3))
        for group in "ab"
        for number in range(100)
    ]
    for estimate in gaps(rows).values():
        assert estimate.problem == problem
        assert estimate.missing == sum(lost.values())


def test_nothing_at_all_is_a_problem_and_no_crash() -> None:
    for estimate in gaps([(f"t{number}", group, NAN) for number in range(3) for group in "ab"]).values():
        assert math.isnan(estimate.value)
        assert estimate.problem == "100% of the answers for a could not be used (at most 20%)"
        assert (estimate.n, estimate.clusters, estimate.p_value, estimate.effect_size) == (0, 0, None, None)


def test_one_cluster_has_a_value_and_no_interval() -> None:
    found = gaps(level({"a": [1.0], "b": [0.0]}))
    assert found["gap.a-b"].value == 1
    assert found["gap.a-b"].interval is None
    assert found["gap"].interval is None


def test_group_means_are_over_clusters() -> None:
    cells, values = table([*ROWS, ("t4", "a", NAN), ("t4", "b", 1.5)])
    (a, mean, low, high), (b, other, *_) = group_means(Scored("gap", "points", values), cells)
    half = stats.t.ppf(0.95, 2) * 2 / math.sqrt(3)
    assert (a, b) == ("a", "b")
    assert (mean, low, high) == pytest.approx((2, 2 - half, 2 + half))
    assert other == pytest.approx((1 + 2.5 + 1.5 + 1.5) / 4)


def test_a_group_without_numbers_has_a_mean_of_none() -> None:
    cells, values = table([("t1", "a", NAN), ("t1", "b", 1.0)])
    (_, mean, low, high), _ = group_means(Scored("gap", "points", values), cells)
    assert math.isnan(mean)
    assert (low, high) == (None, None)


def test_the_mean_of_a_share_that_was_never_seen_has_a_width() -> None:
    cells, values = table([(f"t{number}", group, 0.0) for number in range(12) for group in "ab"])
    for _, mean, low, high in group_means(Scored("gap", "proportion", values), cells):
        assert (mean, low) == (0, 0)
        assert high == pytest.approx(1 - 0.05 ** (1 / 12))


VALUES = st.integers(-20, 20).map(lambda value: value / 4)
DESIGNS = st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=8)


@settings(max_examples=25, deadline=None)  # two permutation tests per estimate
@given(DESIGNS)
def test_swapping_two_groups_flips_the_sign(design: list[tuple[float, float]]) -> None:
    rows = level({"a": [a for a, _ in design], "b": [b for _, b in design]})
    there, back = gaps(rows, ("a", "b")), gaps(rows, ("b", "a"))
    one, other = there["gap.a-b"], back["gap.b-a"]
    assert one.value == pytest.approx(-other.value)
    assert one.interval is not None
    assert other.interval is not None
    assert (one.interval.low, one.interval.high) == pytest.approx((-other.interval.high, -other.interval.low))
    assert one.p_value == pytest.approx(other.p_value)
    assert there["gap"].value == pytest.approx(back["gap"].value)


@settings(max_examples=25, deadline=None)  # as above
@given(DESIGNS, st.integers(-50, 50))
def test_shifting_every_value_changes_nothing(design: list[tuple[float, float]], shift: int) -> None:
    rows = level({"a": [a for a, _ in design], "b": [b for _, b in design]})
    moved = [(cluster, group, value + shift) for cluster, group, value in rows]
    for before, after in zip(gaps(rows).values(), gaps(moved).values(), strict=True):
        assert (before.value, before.p_value) == pytest.approx((after.value, after.p_value))
        assert before.interval is not None
        assert after.interval is not None
        assert before.interval.low == pytest.approx(after.interval.low)


@settings(max_examples=25, deadline=None)  # as above
@given(DESIGNS, st.integers(-30, 30))
def test_shifting_a_whole_template_changes_nothing(design: list[tuple[float, float]], shift: int) -> None:
    # The comparison is within templates: what a template does to both groups alike cancels.
    rows = level({"a": [a for a, _ in design], "b": [b for _, b in design]})
    moved = [(cluster, group, value + shift * (cluster == "t0")) for cluster, group, value in rows]
    assert gaps(rows)["gap.a-b"].value == pytest.approx(gaps(moved)["gap.a-b"].value)


@settings(deadline=None)
@given(st.lists(st.integers(-4, 4).map(lambda value: value / 4), min_size=2, max_size=30))
def test_the_interval_of_a_proportion_holds_its_value_and_is_never_narrower_than_with_no_event(
    differences: list[float],
) -> None:
    column = np.array(differences)
    found, empty = proportion_interval(column, 0.90), proportion_interval(np.zeros_like(column), 0.90)
    assert found is not None
    assert empty is not None
    assert found.low <= column.mean() <= found.high
    assert found.high - found.low >= (empty.high - empty.low) * (1 - 1e-12)


def test_the_interval_of_a_proportion_needs_two_clusters() -> None:
    assert proportion_interval(np.array([0.5]), 0.90) is None
    assert proportion_interval(np.array([]), 0.90) is None


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_a_share_and_what_is_left_of_it_have_mirrored_intervals(shares: list[float]) -> None:
    column = np.array(shares)
    assume(abs(float(column.mean()) - 0.5) > 1e-9)
    found, left = (level_interval("proportion", each, 0.90) for each in (column, 1 - column))
    assert found is not None
    assert left is not None
    assert (found.low, found.high) == pytest.approx((1 - left.high, 1 - left.low), abs=1e-9)


def test_a_share_of_one_is_bounded_as_exactly_as_one_of_none() -> None:
    found = level_interval("proportion", np.ones(10), 0.90)
    assert found is not None
    assert found.low == pytest.approx(0.05**0.1)
    assert found.high == 1.0
