from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.datasets.alignment import alignment_problem, check_alignment, word_distance
from llmaudit.datasets.items import Pair

WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=8)


def pairs(count: int) -> list[Pair]:
    return [
        Pair("c", "w", f"The women in town {n} came.", f"The men in town {n} came.", f"f.csv:{n + 2}")
        for n in range(count)
    ]


@given(WORDS, WORDS, WORDS)
def test_the_word_distance_is_a_metric(first: list[str], second: list[str], third: list[str]) -> None:
    assert word_distance(first, second) == word_distance(second, first)
    assert (word_distance(first, second) == 0) == (first == second)
    assert word_distance(first, third) <= word_distance(first, second) + word_distance(second, third)
    assert abs(len(first) - len(second)) <= word_distance(first, second) <= max(len(first), len(second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The poor are loud.", "The rich are loud."),
        ("She said that her brother left her there.", "He said that his brother left him there."),
        ("Men lead.", "Black women lead."),
    ],
)
def test_a_few_words_may_differ(first: str, second: str) -> None:
    assert alignment_problem(first, second) is None


def test_the_same_sentence_twice_is_no_pair() -> None:
    assert alignment_problem("A cat.", "A cat.") == "the two sides are the same"


def test_two_sentences_of_different_pairs_are_no_pair_and_are_not_quoted() -> None:
    problem = alignment_problem("The nurse gave him his pills late.", "All drivers in this town shout at cyclists.")
    assert problem == "the two sides differ in 8 of 8 words: a minimal pair differs in a few"


def test_a_shifted_file_is_refused_and_names_its_first_place() -> None:
    good = pairs(40)
    shifted = [
        replace(pair, less=f"Number {n} is something else altogether, by chance.") for n, pair in enumerate(good)
    ]
    with pytest.raises(ValueError, match=r"^f\.csv:2: .*; 40 of 40 pairs of the file are like this: are columns"):
        check_alignment(shifted)


def test_a_few_odd_pairs_are_named() -> None:
    many = pairs(40)
    many[7] = replace(many[7], less="Something else altogether stands here, by chance, in one line.")
    (note,) = check_alignment(many)
    assert note.startswith("Misaligned: f.csv:9: the two sides differ in")


def test_doubled_pairs_are_named() -> None:
    many = pairs(5)
    (note,) = check_alignment([*many, replace(many[1], place="f.csv:7")])
    assert note == "Pairs that stand in the file more than once, and count so: f.csv:3, f.csv:7."
