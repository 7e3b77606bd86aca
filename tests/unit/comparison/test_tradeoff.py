"""What a model takes is said where it is known, and what no other beats is joined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmaudit.comparison import compare_runs
from llmaudit.comparison.tradeoff import Cost, costs
from llmaudit.records import BaselineRecord, Timing
from llmaudit.run import Run

from .conftest import audit, estimate, make_run

GAP = estimate("gap", [0.1 * place for place in range(12)])


def run(name: str = "a", timing: Timing | None = None, **model: Any) -> Run:
    plain = make_run(name, audit([GAP], timing=timing or Timing(2.0, 100, 1000, 0, 0, 4.0)))
    assert plain.model is not None
    return replace(plain, model=replace(plain.model, **model))


def cost(found: Run) -> Cost:
    return costs([found], [{0: found.audits[0]}])[0]


@pytest.mark.parametrize(
    ("model", "gib", "counted"),
    [
        ({}, 1.0, False),
        ({"dtype": "bfloat16"}, 0.5, False),
        ({"weight_bytes": 2**29}, 0.5, True),
        ({"weight_bytes": 2**29, "quantization": "nf4"}, 0.5, True),
        ({"quantization": "nf4"}, None, False),
        ({"parameters": None}, None, False),
        ({"dtype": None}, None, False),
    ],
)
def test_size_is_counted_or_computed_or_not_known(model: dict[str, Any], gib: float | None, counted: bool) -> None:
    found = cost(run(**model))
    assert (found.gib, found.counted) == (gib, counted)


@pytest.mark.parametrize(
    ("timing", "speed"),
    [
        (Timing(9.0, 100, 1000, 0, 0, 4.0), 250.0),
        (Timing(9.0, 100, 1000, 0, 1, 4.0), None),  # an earlier run had answered one
        (Timing(9.0, 100, 1000, 50, 0, 4.0), None),  # part of the time was spent on reading
        (Timing(9.0, 100, 0, 0, 0, 4.0), None),
        (Timing(9.0, 100, 1000, 0, 0, 0.0), None),
    ],
)
def test_speed_is_that_of_audits_that_only_generated(timing: Timing, speed: float | None) -> None:
    assert cost(run(timing=timing)).tokens_per_second == speed


def test_speed_is_taken_over_the_same_audits() -> None:
    one, other = run("a"), run("b", Timing(9.0, 100, 1000, 0, 7, 4.0))
    assert [each.tokens_per_second for each in compare_runs([one, other]).costs] == [None, None]


def test_quality_is_drawn_against_size_and_speed_with_the_front(three_runs: list[Run]) -> None:
    sizes = {"small": 2**29, "twin": 2**31, "worse": 2**30}
    runs = [
        replace(each, model=each.model and replace(each.model, weight_bytes=sizes[each.model.name]))
        for each in three_runs
    ]
    found = {figure.title: figure for figure in compare_runs(runs).scatters}
    drawn = ("Checks passed against", "work: gap against")
    assert list(found) == [f"{quality} {cost}" for quality in drawn for cost in ("size", "speed")]
    figure = found["work: gap against size"]
    assert [point[:2] for point in figure.points] == [("small", 0.5), ("twin", 2.0), ("worse", 1.0)]
    assert figure.front == ("small",)
    assert "lower is better" in figure.vertical


def test_a_front_goes_from_cheap_to_good() -> None:
    runs = [
        make_run("cheap", audit([estimate("score", [0.1, 0.2] * 6, better="higher")])),
        make_run("good", audit([estimate("score", [0.8, 0.9] * 6, better="higher")])),
        make_run("beaten", audit([estimate("score", [0.1, 0.15] * 6, better="higher")])),
    ]
    sizes = [1, 4, 3]
    sized = [
        replace(each, model=each.model and replace(each.model, weight_bytes=size * 2**30))
        for each, size in zip(runs, sizes, strict=True)
    ]
    found = {figure.title: figure for figure in compare_runs(sized).scatters}
    assert found["work: score against size"].front == ("cheap", "good")


def test_a_verdict_against_a_baseline_is_another_question(three_runs: list[Run]) -> None:
    first = three_runs[0]
    gated = replace(first.records[0], verdict="fail", baseline=BaselineRecord("x", "m", 0.0, "worse", "", "pass"))
    found = compare_runs([replace(first, records=(gated,)), *three_runs[1:]])
    assert [each.passed for each in found.passed] == [1, 1, 1]
