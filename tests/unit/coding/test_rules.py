"""The coder that looks for patterns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.coding.codebook import Category
from llmaudit.coding.rules import RulesCoder


def coder(**rules: Any) -> RulesCoder:
    examples = {"yes": ["a", "b", "c"], "no": ["d", "e", "f"]}
    words = {"definition": "d", "question": "q", "include": ["i"], "exclude": ["e"], "examples": examples}
    return RulesCoder(Category.model_validate({**words, **rules}))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("A FIG tree", 1.0),
        ("figs", 0.0),
        ("a configuration", 0.0),
        ("not\nworth  a\tfig.", 1.0),
        ("in fig. 3 it says", 0.0),
        ("in fig. 3 it says, a fig", 1.0),
        ("don’t care", 1.0),
        ("black or green olives", 1.0),
        ("{olive}", 0.0),
        ("", 0.0),
    ],
)
def test_patterns_match_whole_words_outside_of_exceptions(text: str, code: float) -> None:
    rules = coder(
        words={"olive": ["black olive", "green olives"]},
        patterns=["fig", "don't care", "{olive}"],
        exceptions=[r"fig\. \d+"],
    )
    assert rules.codes([text]).tolist() == [code]


def test_what_stands_around_an_exception_does_not_grow_together() -> None:
    assert coder(patterns=["a b"], exceptions=["x"]).codes(["a x b"]).tolist() == [0.0]


@given(st.text(), st.text(), st.sampled_from(["fig", "FIG", "Fig"]))
def test_a_word_is_found_wherever_it_stands(before: str, after: str, word: str) -> None:
    assert coder(patterns=["fig"]).codes([f"{before} {word} {after}"]).tolist() == [1.0]
