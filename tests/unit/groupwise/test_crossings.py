"""Contrasts along axes and between them, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from llmaudit.gaps import Cells, Scored
from llmaudit.groupwise.crossings import along, crossing_estimates, crossing_metrics, crossing_table, interactions

AXES = {"age": ("young", "older"), "gender": ("women", "men")}
GROUPS = ("young_women", "young_men", "older_women", "older_men")


def estimates(means: np.ndarray[tuple[int, int], np.dtype[np.float64]], unit: str = "points") -> dict[str, float]:
    rows = [(f"t{row}", group) for row in range(len(means)) for group in GROUPS]
    cells = Cells.of([row for row, _ in rows], [group for _, group in rows], GROUPS)
    scored = Scored("s_gap", unit, means.ravel())
    found = crossing_estimates("s", scored, cells, AXES, seed=0, details={})
    return {name: estimate.value for name, estimate in found.items()}


def test_an_effect_of_one_axis_is_seen_along_it_and_nowhere_else() -> None:
    base = np.random.default_rng(0).normal(size=(12, 1))
    found = estimates(base + np.array([0.5, 0.5, 0.0, 0.0]))
    assert found["s_gap_along.age"] == pytest.approx(0.5)
    assert found["s_gap_along.age.young-older"] == pytest.approx(0.5)
    assert found["s_gap_along.gender"] == pytest.approx(0, abs=1e-12)
    assert found["s_gap_along"] == pytest.approx(0.5)
    assert found["s_interaction"] == pytest.approx(0, abs=1e-12)


def test_what_one_cell_has_alone_is_an_interaction() -> None:
    found = estimates(np.tile([0.0, 0.0, 0.0, 0.6], (12, 1)))
    # (young - older among women) - (young - older among men) = 0 - (0 - 0.6).
    assert found["s_interaction.age young-older x gender women-men"] == pytest.approx(0.6)
    assert found["s_interaction"] == pytest.approx(0.6)
    assert found["s_gap_along.age"] == found["s_gap_along.gender"] == pytest.approx(0.3)


def test_axes_of_three_levels_and_three_axes_average_what_is_not_asked() -> None:
    axes = {"age": ("young", "middle", "older"), "gender": ("women", "men"), "place": ("city", "village")}
    assert [contrast.name for contrast in along(axes, "age")] == ["young-middle", "young-older", "middle-older"]
    first = along(axes, "age")[0]
    assert sorted(first.groups) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert first.weights == (0.25,) * 4 + (-0.25,) * 4
    assert len(interactions(axes)) == 3 + 3 + 1
    assert all(sum(contrast.weights) == pytest.approx(0) for contrast in interactions(axes))
    assert all(contrast.reach == pytest.approx(2) for contrast in interactions(axes))


def test_axes_may_share_the_names_of_their_levels() -> None:
    axes = {"age": ("young", "older"), "self": ("any", "other"), "partner": ("any", "other")}
    names = [contrast.name for contrast in interactions(axes)]
    assert len(set(names)) == len(names) == 3


def test_metrics_name_what_is_measured_and_the_table_what_is_behind_it() -> None:
    metrics = crossing_metrics("s", "points", AXES)
    assert set(metrics) == {"s_gap_along", "s_gap_along.age", "s_gap_along.gender", "s_interaction"}
    means = np.random.default_rng(1).normal(size=(12, 4))
    rows = [(f"t{row}", group) for row in range(12) for group in GROUPS]
    cells = Cells.of([row for row, _ in rows], [group for _, group in rows], GROUPS)
    found = crossing_estimates("s", Scored("s_gap", "points", means.ravel()), cells, AXES, seed=0, details={})
    assert set(metrics) < set(found)
    for name, metric in metrics.items():
        assert (found[name].metric, found[name].better, found[name].unit) == (name, metric.better, metric.unit)
    table = crossing_table(["s"], found, AXES)
    assert [row[1] for row in table.rows] == [
        "age: young-older",
        "gender: women-men",
        "interaction: age young-older x gender women-men",
    ]


def test_an_interaction_of_proportions_may_reach_two() -> None:
    rows = [(f"t{row}", group) for row in range(12) for group in GROUPS]
    cells = Cells.of([row for row, _ in rows], [group for _, group in rows], GROUPS)
    nothing = Scored("s_gap", "proportion", np.zeros(48))
    found = crossing_estimates("s", nothing, cells, AXES, seed=0, details={})
    one, two = found["s_gap_along.age"].interval, found["s_interaction"].interval
    assert one is not None
    assert two is not None
    assert two.high == pytest.approx(2 * one.high)
