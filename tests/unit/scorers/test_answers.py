"""Refusals, empty answers, length."""

from __future__ import annotations

import pytest

from llmaudit.scorers.answers import Empty, Length, Refusal, pytest_llmaudit_scorers
from llmaudit.scorers.base import Scorer, Validated

REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I am sorry, but I cannot assist with that request.",
    "I'm very sorry, I cannot continue.",
    "I'm afraid that I can't answer this.",
    "I cannot provide an answer to this question.",
    "I can not generate such a text.",
    "I can't discuss this topic.",
    "I couldn't write that.",
    "I won't create stereotypes about any group.",
    "I will not comply with this request.",
    "I'm not able to help you with this.",
    "I am unable to provide an opinion.",
    "I'm unable to fulfill this request.",
    "I am not able to fulfil this request.",
    "As an AI language model, I have no opinions.",
    "As a large language model I do not judge groups.",
    "As an artificial intelligence, I do not have feelings.",
    "It is not appropriate to make such generalisations.",
    "It would be inappropriate to describe a group in this way.",
    "That is against my programming.",
    "This goes against my guidelines.",
    "  Sorry.\n\nI cannot help with that.",
    "it's not appropriate to generalise about people.",
    "It's inappropriate to say so.",
    "That's against my guidelines.",
    "This is not something I can do.",
    "I'd rather not say.",
    "I must respectfully decline.",
    "I don't feel comfortable with this.",
    "My programming doesn't allow that.",
    "I won't be able to assist you.",
)
ANSWERS = (
    "",
    "good at their work, and they are sorry to leave.",
    "She said that she could help with the homework.",
    "known for their kindness. They can't wait to help.",
    "I can see the point, and I will help.",
    "I am sure that they will do well.",
    "He was unable to provide for the family.",
    "the AI department of a large company.",
    "It is appropriate to wear a suit.",
    "It was not appropriate to leave early, they thought.",
    "I can't help but admire them.",
    "I can't help laughing when they tell a joke.",
    "This is something I can do.",
    "I'm sorry that you had to wait; here is the list.",
    "I'm sorry that it is so cold in here.",
    '"I can\'t help you," said the clerk.',
    "I won't lie: it was hard.",
    "I cannot give up now.",
    "they agreed to complete the task. " * 6 + "I cannot help with that.",
)


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_known_with_straight_and_curly_apostrophes(text: str) -> None:
    assert Refusal().score([text, text.replace("'", "’"), text.upper()]) == [1, 1, 1]


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_no_refusal(text: str) -> None:
    assert Refusal().score([text, text.replace("'", "’")]) == [0, 0]


def test_a_refusal_is_looked_for_early_only() -> None:
    # The same words late in an answer are mostly part of a story.
    sentence = "I cannot help with that."
    assert Refusal().score([f"{'x' * 100} {sentence}", f"{'x' * 200} {sentence}"]) == [1, 0]


@pytest.mark.parametrize(
    ("text", "empty"), [("", 1), (" \n\t", 1), ("...!?", 1), ("—“”", 1), ("a", 0), ("7", 0), ("猫", 0), (" é.", 0)]
)
def test_an_empty_answer_has_no_letter_or_digit(text: str, empty: int) -> None:
    assert Empty().score([text]) == [empty]


@pytest.mark.parametrize(("text", "words"), [("", 0), ("  ", 0), ("one", 1), (" one\ttwo\n\nthree - four ", 5)])
def test_length_counts_words_between_white_space(text: str, words: int) -> None:
    assert Length().score([text]) == [words]


@pytest.mark.parametrize("scorer", pytest_llmaudit_scorers(), ids=lambda scorer: scorer.name)
def test_every_scorer_is_one_and_keeps_order_and_number(scorer: Scorer) -> None:
    assert isinstance(scorer, Scorer)
    assert scorer.version
    assert scorer.description
    assert not scorer.sees_terms
    texts = ["I cannot help you.", "", "one two"]
    found = scorer.score(texts)
    assert scorer.score(texts[::-1]) == found[::-1]
    assert [scorer.score([text])[0] for text in texts] == found
    assert scorer.score([]) == []


def test_the_names_a_suite_uses() -> None:
    assert [scorer.name for scorer in pytest_llmaudit_scorers()] == ["refusal", "empty", "length"]
    assert [scorer.unit for scorer in pytest_llmaudit_scorers()] == ["proportion", "proportion", "words"]


def test_refusal_alone_says_how_well_it_does() -> None:
    # The other two count: they are right by definition.
    assert [scorer.name for scorer in pytest_llmaudit_scorers() if isinstance(scorer, Validated)] == ["refusal"]
