from __future__ import annotations

import pytest

from llmaudit.suite.problems import Place, Problem, dotted, refusal, shown


def test_steps_read_like_an_expression() -> None:
    assert dotted(("audits", "gender", "templates", 2, "text")) == "audits.gender.templates[2].text"
    assert dotted(("checks", "gap.women-men", "max")) == "checks.gap.women-men.max"
    assert dotted(("audits", "a b\n")) == r"audits.'a b\n'"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "true"),
        ({}, "a mapping"),
        ([], "a list"),
        ("x", "'x'"),
        (1.5, "1.5"),
        (float("-inf"), "-.inf"),
        (float("nan"), ".nan"),
        ("x" * 100, "'" + "x" * 59 + "..."),
    ],
)
def test_values_are_shown_as_they_are_written(value: object, words: str) -> None:
    assert shown(value) == words


def test_a_refusal_goes_from_the_top_of_the_file_to_its_bottom() -> None:
    later, earlier = Problem(Place(10, 2), ("a", 0), "wrong"), Problem(Place(9, 30), (), "odd")
    assert refusal("d/f.yaml", [later, earlier]).problems == ("d/f.yaml:9:30: odd", "d/f.yaml:10:2: a[0]: wrong")
