"""From words to tokens, and what else those tokens begin."""

from __future__ import annotations

import pytest

from llmaudit.errors import AuditError
from llmaudit.steering.stimuli import Words
from llmaudit.steering.words import (
    Spelling,
    coverage_table,
    fragment_requests,
    fragment_table,
    read_spellings,
    spelling_requests,
)
from llmaudit.types import Response, Sample, Tokenize, Tokens

WORDS = Words(positive=["superb"], negative=["nasty"], placebo=["Wooden"])


def cut(*pieces: str, ids: tuple[int, ...] = (), unknown: int = 0) -> Tokens:
    text = "".join(pieces)
    return Tokens(ids or tuple(range(len(pieces))), pieces, (), unknown, 0, text)


def asked(text: str, response: Response, side: str = "positive", word: str = "superb") -> Sample:
    return Sample(Tokenize(text, word, {"list": side, "spelling": text}), response)


def test_every_spelling_of_every_word_is_asked() -> None:
    requests = list(spelling_requests(WORDS, "after_space"))
    texts = [(request.factors["list"], request.text) for request in requests if isinstance(request, Tokenize)]
    assert texts == [
        ("positive", " superb"),
        ("positive", " Superb"),
        ("negative", " nasty"),
        ("negative", " Nasty"),
        ("placebo", " Wooden"),
    ]
    # A smoke run asks two requests per cell of the design: every spelling is one of its own.
    assert len({tuple(sorted(request.factors.items())) for request in requests}) == len(requests)


def test_spellings_beyond_the_vocabulary_are_left_out_and_shown() -> None:
    found = read_spellings([asked(" superb", cut(" superb")), asked(" Superb", cut(" superb"))])
    assert [spelling.ids for spelling in found] == [(0,), ()]
    table = coverage_table(found)
    assert table.rows == (
        ("positive", "superb", "“ superb”", " superb", "1 token"),
        ("positive", "superb", "“ Superb”", "cannot be made", ""),
    )
    assert table.note.startswith("1 of 2 spellings are one token")


def test_a_tokenizer_may_bring_or_take_the_space_before_a_word() -> None:
    found = read_spellings([asked(" superb", Tokens((7, 8), ("▁sup", "erb"), (), 0, 0, "superb"))])
    assert found == (Spelling("positive", "superb", " superb", (7, 8), ("▁sup", "erb")),)


def test_a_word_that_cannot_be_made_after_a_space_is_an_error() -> None:
    with pytest.raises(AuditError, match=r"^words\.positive: the tokenizer cannot make 'superb' \(it is unknown"):
        read_spellings([asked(" superb", cut(" ", "<unk>", unknown=1)), asked("superb", cut("superb"))])


def fragments(*, every_token: bool) -> tuple[tuple[object, ...], ...]:
    spellings = [
        Spelling("positive", "superb", " superb", (1, 2), (" sup", "erb")),
        Spelling("positive", "super", " super", (1, 3), (" sup", "er")),
        Spelling("negative", "nasty", " nasty", (4,), (" nasty",)),
    ]
    texts = ["Supper and superb support, support", "nasty eras"]
    vocabulary = {"Supper": (9,), "and": (8,), "superb": (1, 2), "support": (1, 7), "nasty": (4,), "eras": (2, 6)}
    samples = [
        Sample(request, cut(f" {request.cluster}", ids=vocabulary[request.cluster]))
        for request in fragment_requests(texts)
    ]
    return fragment_table(spellings, samples, texts, every_token=every_token).rows


def test_words_of_the_same_list_are_no_accident_and_others_are_counted() -> None:
    assert fragments(every_token=False) == (("positive", " sup", "superb, super", "support (2)"),)


def test_where_every_token_is_boosted_the_later_ones_begin_words_too() -> None:
    assert fragments(every_token=True) == (
        ("positive", " sup", "superb, super", "support (2)"),
        ("positive", "erb", "superb", "eras (1)"),
    )


def test_each_distinct_word_is_cut_once_after_a_space() -> None:
    requests = list(fragment_requests(["It is, it is", "is"]))
    assert [request.text for request in requests if isinstance(request, Tokenize)] == [" It", " is", " it"]
