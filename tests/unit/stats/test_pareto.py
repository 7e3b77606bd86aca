"""The front holds the points that no other beats, and no others."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.stats import pareto_front

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


@given(POINTS)
def test_a_point_is_on_the_front_where_no_other_beats_it(points: list[tuple[int, int]]) -> None:
    front = pareto_front([cost for cost, _ in points], [quality for _, quality in points])
    for place, (cost, quality) in enumerate(points):
        beaten = any(c <= cost and q >= quality and (c, q) != (cost, quality) for c, q in points)
        assert (place in front) is not beaten


@given(POINTS)
def test_the_front_rises_in_cost_and_quality(points: list[tuple[int, int]]) -> None:
    found = [points[place] for place in pareto_front([c for c, _ in points], [q for _, q in points])]
    assert found == sorted(found)


def test_an_unknown_cost_or_quality_is_no_point() -> None:
    assert pareto_front([1.0, math.nan, 2.0, 0.5], [1.0, 9.0, math.inf, math.nan]) == [0]


def test_a_quality_for_every_cost() -> None:
    with pytest.raises(ValueError, match="one cost and one quality per point"):
        pareto_front([1.0, 2.0], [1.0])
