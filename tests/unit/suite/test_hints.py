from __future__ import annotations

import pytest

from llmaudit.suite.hints import closest, did_you_mean, unknown


@pytest.mark.parametrize("word", ["templats", "TEMPLATES", "templates "])
def test_the_nearest_word(word: str) -> None:
    assert closest(word, ["groups", "templates", "samples"]) == "templates"


def test_spaces_and_hyphens_are_no_distance() -> None:
    assert closest("Sentiment-Gap", ["length_gap", "sentiment_gap"]) == "sentiment_gap"


def test_nothing_is_near() -> None:
    assert closest("zzz", ["groups"]) is None
    assert did_you_mean("zzz", ["groups"]) == ""


def test_the_whole_sentence() -> None:
    assert unknown("key", "grups", ["kind", "groups"]) == (
        "unknown key 'grups'; did you mean 'groups'? (known: kind, groups)"
    )
    assert unknown("metric", "a.c", ["a", "a.b"], listed=["a"]) == (
        "unknown metric 'a.c'; did you mean 'a.b'? (known: a)"
    )
    assert unknown("kind", "x", []) == "unknown kind 'x' (known: none)"
