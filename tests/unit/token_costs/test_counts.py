"""Counts of tokens on sentences counted by hand."""

from __future__ import annotations

import math
import time
import timeit

import pytest

from llmaudit.token_costs.counts import count, ids_of, of_language, separates_words
from llmaudit.types import Failure, Response, Sample, Tokenize, Tokens


def cut(text: str, *pieces: str, unknown: int = 0, fragments: int = 0, decoded: str | None = None) -> Sample:
    """A sentence that is cut into these pieces, which follow one another in the text."""
    starts: list[int] = []
    place = 0
    for piece in pieces:
        starts.append(text.index(piece, place))
        place = starts[-1] + len(piece)
    tokens = Tokens(
        tuple(range(len(pieces))), pieces, tuple(starts), unknown, fragments, text if decoded is None else decoded
    )
    return answered(text, tokens)


def answered(text: str, response: Response, language: str = "eng") -> Sample:
    return Sample(Tokenize(text, "sentence 001", {"language": language}), response)


def counts(*samples: Sample) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in count("eng", samples).items()}


def test_a_sentence_by_hand() -> None:
    # "großen" is 7 bytes; of the three words two are cut.
    found = counts(cut("den großen Deich", "den", " gro", "ßen", " Dei", "ch"))
    assert found == {
        "tokens": [5],
        "words": [3],
        "characters": [16],
        "bytes": [17],
        "continued": [2],
        "fragments": [0],
        "unknown": [0],
        "broken": [0],
        "broken_nfc": [0],
    }


@pytest.mark.parametrize(
    ("sample", "continued"),
    [
        (cut("ab cd", "ab", " cd"), 0),
        (cut("ab cd", "ab", " ", "cd"), 1),  # a space of its own belongs to the word behind it
        (cut("ab cd", "a", "b", " ", "c", "d"), 2),
        (cut("ab  cd ", "ab", " ", " cd", " "), 1),  # the last space belongs to no word
        (cut("ab cd", "ab cd"), 0),  # a token over two words cuts neither
        (cut(" ab", " a", "b"), 1),
        (cut("ab\ncd", "ab", "\n", "cd"), 1),
    ],
)
def test_words_in_which_two_tokens_start(sample: Sample, continued: int) -> None:
    assert counts(sample)["continued"] == [continued]


def test_fragments_unknown_tokens_and_a_broken_round_trip() -> None:
    found = counts(cut("ab", "a", "b", unknown=1, fragments=2, decoded="a b"))
    assert (found["unknown"], found["fragments"], found["broken"]) == ([1], [2], [1])


def test_a_tokenizer_that_tells_no_offsets_has_no_continued_words() -> None:
    found = counts(answered("ab cd", Tokens((1, 2), ("ab", "cd"), (), 0, 0, "ab cd")))
    assert found["tokens"] == [2]
    assert math.isnan(found["continued"][0])


def test_what_could_not_be_tokenized_has_no_counts_and_keeps_its_place() -> None:
    samples = (answered("ab", Failure("no")), cut("ab", "a", "b"))
    for values in counts(*samples).values():
        assert math.isnan(values[0])
        assert not math.isnan(values[1])


def test_only_the_samples_of_the_language_count() -> None:
    tokens = Tokens((1,), ("x",), (0,), 0, 0, "x")
    found = count("deu", [answered("x", tokens), answered("x y", tokens, "deu")])
    assert found["words"].tolist() == [2]


def test_counting_grows_with_the_text_and_not_with_its_square() -> None:
    # A document of 50,000 words is one text too: at a step for every pair of token and word it takes minutes.
    def seconds(words: int) -> float:
        text = "word " * words
        starts = tuple(range(0, len(text), 5))
        tokens = Tokens(starts, ("word ",) * words, starts, 0, 0, text)
        return min(
            timeit.repeat(lambda: count("eng", [answered(text, tokens)]), timer=time.process_time, number=1, repeat=5)
        )

    assert seconds(8000) / seconds(2000) < 9  # four times the text; 16 where it is the square


@pytest.mark.parametrize(
    ("language", "separates"),
    [
        ("deu_Latn", True),
        ("jpn_Jpan", False),
        ("cmn_hans", False),
        ("tha", False),
        ("eng", True),
        ("jpn_Latn", True),
        ("deu_1996", True),
        ("nan_Latn_tailo", True),
    ],
)
def test_which_languages_put_spaces_between_words(language: str, separates: bool) -> None:
    assert separates_words(language) == separates


def test_a_round_trip_up_to_the_form_of_an_accent() -> None:
    # One letter with an umlaut, and the letter with a combining one behind it: the same text to a reader.
    found = counts(cut("ä", "ä", decoded="a\u0308"), cut("ä", "ä", decoded="a"))
    assert (found["broken"], found["broken_nfc"]) == ([1, 1], [0, 1])


def test_a_tokenizer_that_cannot_decode_has_no_round_trip() -> None:
    found = counts(answered("ab", Tokens((1,), ("ab",), (0,), 0, 0, None)))
    assert found["tokens"] == [1]
    assert math.isnan(found["broken"][0])
    assert math.isnan(found["broken_nfc"][0])


def test_terms_and_words_are_no_passages() -> None:
    tokens = Tokens((1, 7), ("x", "y"), (0, 1), 0, 0, "xy")
    term = Sample(Tokenize("xy", "xy", {"language": "eng", "list": "terms", "group": "a"}), tokens)
    assert [sample.request.cluster for sample in of_language("eng", [term, answered("xy", tokens)])] == ["sentence 001"]
    (ids,) = ids_of("eng", [term, answered("xy", tokens)])
    assert ids is not None
    assert ids.tolist() == [1, 7]
    assert ids_of("eng", [answered("x", Failure("no"))]) == [None]
