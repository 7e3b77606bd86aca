"""Word lists: read, and found in texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.scorers.lexicon import Lexicon, read_lexicon, words_of

LEXICON = Lexicon({"good": frozenset({"kind", "role model"}), "other": frozenset({"kind of", "a"})}, "")


def test_words_are_lower_case_with_their_apostrophes_and_hyphens() -> None:
    assert words_of("It’s a Well-Known fact; isn't it?") == ["it's", "a", "well-known", "fact", ";", "isn't", "it", "?"]
    assert words_of("") == []


def test_the_longest_entry_that_begins_at_a_word_is_found() -> None:
    assert list(LEXICON.found(words_of("she is kind, a role model"))) == [(2, "good"), (4, "other"), (5, "good")]
    assert list(LEXICON.found(words_of("this kind of model"))) == [(1, "other")]
    assert list(LEXICON.found(words_of("a role. Model kindness"))) == [(0, "other")]


@given(st.text())
def test_any_text_has_words_of_lower_case(text: str) -> None:
    words = words_of(text)
    assert all(word == word.lower() and word for word in words)
    assert words_of(" ".join(words)) == words


@pytest.mark.parametrize("name", ["toxicity.txt", "regard.txt"])
def test_a_list_of_the_package_can_be_found_as_it_is_written(name: str) -> None:
    lexicon = read_lexicon(name)
    for section, entries in lexicon.sections.items():
        for entry in entries:
            words = words_of(entry)
            assert " ".join(words) == entry  # else no text could ever hold it
            assert next(lexicon.found(words)) == (0, section)
    assert sum(map(len, lexicon.sections.values())) == len(lexicon.entries)  # no entry in two sections
    assert len(lexicon.sha256) == 64
    assert "#" not in "".join(lexicon.entries)
