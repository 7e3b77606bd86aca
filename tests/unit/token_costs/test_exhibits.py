"""How a text is shown token by token."""

from __future__ import annotations

import math

import pytest

from llmaudit.token_costs.exhibits import MARK, bars, intervals, spelled
from llmaudit.types import Estimate, Tokens


def cut(*starts: int) -> Tokens:
    return Tokens(tuple(range(len(starts))), ("x",) * len(starts), starts, 0, 0, "")


@pytest.mark.parametrize(
    ("text", "starts", "shown"),
    [
        ("a cat", (0, 1), "a│␣cat"),
        ("a cat", (0, 2), "a␣│cat"),
        ("猫x", (0, 0, 0, 1), "猫×3│x"),
        (" a", (1,), "␣a"),  # a space that the tokenizer drops at the start
        ("a\n\tb\u00a0c", (0, 3), "a⏎⇥│b⍽c"),
    ],
)
def test_tokens_set_apart(text: str, starts: tuple[int, ...], shown: str) -> None:
    assert spelled(text, cut(*starts)) == shown


def test_without_offsets_the_tokenizers_own_spelling() -> None:
    assert spelled("a cat", Tokens((1, 2), ("a", "Ġcat"), (), 0, 0, "")) == f"a{MARK}Ġcat"
    assert spelled("", Tokens((), (), (), 0, 0, "")) == ""


def test_nothing_to_draw() -> None:
    assert bars("title", "unit", {}) == []
    assert intervals("title", "unit", {}, ()) == []


def test_a_language_that_could_not_be_counted_comes_last() -> None:
    values = {"a": math.nan, "b": 2.0, "c": 1.0}
    (figure,) = bars("title", "unit", values)
    assert [row[0] for row in figure.rows] == ["c", "b", "a"]
    facets = {name: Estimate(name, value, None, "", "lower", 1, 1) for name, value in values.items()}
    (points,) = intervals("title", "unit", facets, ())
    assert [row[0] for row in points.rows] == ["c", "b", "a"]
