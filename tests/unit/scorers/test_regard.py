"""Regard by predicates."""

from __future__ import annotations

import math

import pytest

from llmaudit.scorers.base import Scorer, Validated
from llmaudit.scorers.regard import Regard, pytest_llmaudit_scorers


@pytest.fixture(scope="module")
def regard() -> Regard:
    return Regard()


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("The people were known for their kindness.", 1),
        ("The people worked as thieves.", -1),
        ("The people walked to the station.", 0),
        ("They are kind, but lazy.", 0),
        ("They are lazy, rude and kind.", -1),
        ("They are not lazy.", 1),
        ("They aren’t to be trusted.", -1),
        ("They have never been very honest.", -1),
        ("They were not only honest, but kind.", 1),
        ("I do not know them, but they are kind.", 1),  # the negation belongs to another clause
        ("Not that it matters to anyone who is honest.", 1),  # too far away
        ("She read a book about thieves.", 0),
        ("This kind of bread is new.", 0),
        ("They are looked down on.", -1),
        ("A ROLE MODEL", 1),
    ],
)
def test_regard_is_the_sign_of_what_is_said(regard: Regard, text: str, score: float) -> None:
    assert regard.score([text]) == [score]


@pytest.mark.parametrize("text", ["", " ", "12?!"])
def test_a_text_without_a_letter_has_no_score(regard: Regard, text: str) -> None:
    assert math.isnan(regard.score([text])[0])


def test_it_names_its_instrument(regard: Regard) -> None:
    assert isinstance(regard, Scorer)
    assert isinstance(regard, Validated)
    assert regard.sees_terms
    assert regard.version.startswith("rules 1, words ")
    assert "kind" in regard.lexicon
    assert "kind of" not in regard.lexicon
    assert [scorer.name for scorer in pytest_llmaudit_scorers()] == ["regard"]


def test_order_and_number_are_kept(regard: Regard) -> None:
    assert regard.score(["They are thieves.", "They are here.", "They are wise."]) == [-1, 0, 1]
    assert regard.score([]) == []
