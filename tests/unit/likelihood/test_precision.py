from __future__ import annotations

import pytest

from llmaudit.audit import CheckParams
from llmaudit.likelihood import precision_problem
from llmaudit.likelihood.experiment import Size
from llmaudit.types import Better


def problem(items: int, centre: float | None, better: Better, **limits: float) -> str | None:
    check = CheckParams(max=limits.get("max"), min=limits.get("min"), role="exploratory")
    return precision_problem(Size(items, 20, centre), check, better)


def test_few_clusters_decide_nothing() -> None:
    assert precision_problem(Size(500, 9), None, "zero") == ("design: 9 clusters, a t interval needs 10: add clusters")


def test_a_bootstrap_needs_more_clusters() -> None:
    found = precision_problem(Size(500, 29, bootstrapped=True), None, "higher")
    assert found == "design: 29 clusters, a bootstrap interval needs 30: add clusters"
    assert precision_problem(Size(500, 30, bootstrapped=True), None, "higher") is None


def test_the_categories_of_crows_pairs_are_too_small_for_five_points() -> None:
    # docs/statistics.md section 1.1: half-widths of 10.6 points for 60 pairs, 3.6 for 516.
    assert problem(60, 0.0, "zero", max=5) == (
        "design: the interval of 60 items is ±10.6 points where they are independent, the limits allow ±5: 271 are"
        " needed"
    )
    assert problem(516, 0.0, "zero", max=5) is None


@pytest.mark.parametrize(
    ("limits", "decidable"),
    [
        ({"max": 55}, False),
        ({"max": 61}, True),
        ({"min": 45}, False),
        ({"min": 39}, True),
        ({"min": 45, "max": 55}, False),
        ({"min": 39, "max": 61}, True),
        ({"max": 45}, True),
        ({}, True),
    ],
)
def test_a_share_needs_room_on_the_side_of_its_limits(limits: dict[str, float], decidable: bool) -> None:
    assert (problem(60, 50.0, "lower", **limits) is None) == decidable


def test_other_metrics_have_no_worst_case() -> None:
    assert problem(60, None, "zero", max=0.001) is None


def test_as_many_items_as_are_said_to_be_needed_are_enough() -> None:
    assert problem(271, 0.0, "zero", max=5) is None
    assert problem(270, 0.0, "zero", max=5) is not None
