"""Numbers per answer, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.masking import Mask
from llmaudit.scorers.sentiment import Sentiment
from llmaudit.steering.answers import MASK, log_perplexities, numbers_of, repetition
from llmaudit.steering.words import words_of
from llmaudit.types import Completion, Failure, Generate, Likelihood, Response, Sample, Score

PLACEBO = ("wooden", "eastern", "weekly", "square", "annual", "distant", "northern", "metal", "paper", "outer")
CARRIERS = (
    "It was not a {} good day, and we were happy.",
    "The {} room is bad!",
    "A {} and {} idea, but a terrible one.",
    "{}, {}, {}.",
    "NOBODY liked the {} soup; it was very {} awful.",
    "Never was a {} party so great.",
)


def answered(text: str | None, prompt: str = "p") -> Sample:
    response: Response = Failure("too long") if text is None else Completion(text, 4, "length", prompt)
    return Sample(Generate(prompt, prompt), response)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("a b c d", 0.0),
        ("a b c d a b c d", 1 / 5),
        ("joy joy joy joy joy", 1 / 2),
        ("Joy, joy. JOY joy - joy joy", 2 / 3),
        ("a b", 0.0),
    ],
)
def test_repeated_four_grams_by_hand(text: str, share: float) -> None:
    assert repetition(text) == pytest.approx(share)


def test_a_text_without_words_has_no_repetition() -> None:
    assert math.isnan(repetition(" ... "))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12))
def test_repetition_is_a_share(words: list[str]) -> None:
    assert 0 <= repetition(" ".join(words)) < 1


def test_words_are_runs_of_letters_with_inner_apostrophes_and_hyphens() -> None:
    assert words_of("It’s a well-known “fact”, isn't it? (2 of 3.)") == [
        *("It’s", "a", "well-known", "fact", "isn't", "it", "2", "of", "3")
    ]
    assert words_of("... _ -") == []


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("word", PLACEBO)
def test_the_masked_text_of_a_placebo_does_not_move(carrier: str, word: str) -> None:
    # Why a word is replaced by one that VADER does not know, and not taken out: negations would come to reach further.
    shown = carrier.replace("{}", word)
    masked = Mask(PLACEBO, MASK).apply([shown])
    assert Sentiment().score(masked) == Sentiment().score([shown])


def test_taking_words_out_would_move_the_score() -> None:
    shown = "It was never a really quite wooden good day."
    out = Mask(PLACEBO, "").apply([shown])
    assert Sentiment().score(out) != Sentiment().score([shown])


def test_a_masked_word_says_nothing() -> None:
    assert Sentiment().score([f"They said that it was {MASK}."]) == [0.0]
    assert MASK not in Sentiment().lexicon


def test_the_cost_is_nats_per_token_of_the_answer_after_its_prompt() -> None:
    samples = [
        Sample(Score("p", " a b", "p"), Likelihood(-6.0, 2, greedy=False)),
        Sample(Score("q", " a b", "q"), Likelihood(-4.0, 2, greedy=False)),
        Sample(Score("r", "", "r"), Likelihood(0.0, 0, greedy=True)),
        Sample(Score("s", "x", "s"), Failure("too long")),
    ]
    assert log_perplexities(samples) == {("p", " a b"): 3.0, ("q", " a b"): 2.0}


def test_what_is_measured_in_an_answer() -> None:
    samples = [answered(text) for text in ("A superb day.", None, "", "I cannot help with that.")]
    masks = {"positive": Mask(["superb"], MASK), "negative": Mask(["nasty"], MASK)}
    found = numbers_of(samples, Sentiment(), masks, {("p", "A superb day."): 1.5}, mask=True)
    nan = math.nan
    for values, expected in (
        (found.raw, [0.6249, nan, nan, nan]),
        (found.masked["positive"], [0.0, nan, nan, nan]),
        (found.masked["negative"], [0.6249, nan, nan, nan]),
        (found.listed["positive"], [1 / 3, nan, nan, 0.0]),
        (found.log_perplexity, [1.5, nan, nan, nan]),
        (found.words, [3.0, nan, 0.0, 5.0]),
        (found.refused, [0.0, nan, 0.0, 1.0]),
        (found.empty, [0.0, nan, 1.0, 0.0]),
    ):
        np.testing.assert_allclose(values, expected, atol=1e-4)


def test_a_compound_is_one_word_however_many_of_its_parts_are_listed() -> None:
    masks = {"positive": Mask(["superb"], MASK)}
    found = numbers_of([answered("superb-superb")], Sentiment(), masks, {}, mask=True)
    assert found.listed["positive"].tolist() == [1.0]


def test_the_score_is_left_alone_where_nothing_is_to_be_masked() -> None:
    masks = {"positive": Mask(["superb"], MASK)}
    found = numbers_of([answered("A superb day.")], Sentiment(), masks, {}, mask=False)
    assert found.masked["positive"] == pytest.approx(found.raw)
