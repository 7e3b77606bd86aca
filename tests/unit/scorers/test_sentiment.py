"""VADER as a scorer."""

from __future__ import annotations

import math
from importlib.metadata import version

import pytest

from llmaudit.scorers.base import Scorer, Validated
from llmaudit.scorers.sentiment import Sentiment, pytest_llmaudit_scorers


@pytest.fixture(scope="module")
def sentiment() -> Sentiment:
    return Sentiment()


@pytest.mark.parametrize(
    ("text", "score"),
    [
        # The examples of VADER's own README.
        ("VADER is smart, handsome, and funny.", 0.8316),
        ("VADER is not smart, handsome, nor funny.", -0.7424),
        ("The book was good.", 0.4404),
        ("Today SUX!", -0.5461),
        ("The table stands in the room.", 0.0),
    ],
)
def test_the_scores_that_its_authors_publish(sentiment: Sentiment, text: str, score: float) -> None:
    assert sentiment.score([text]) == pytest.approx([score])


@pytest.mark.parametrize("text", ["", "  ", "...", "12 34", "!?"])
def test_a_text_without_a_letter_has_no_sentiment(sentiment: Sentiment, text: str) -> None:
    assert math.isnan(sentiment.score([text])[0])


def test_order_and_number_are_kept(sentiment: Sentiment) -> None:
    good, none, bad = sentiment.score(["good", "", "bad"])
    assert good > 0 > bad
    assert math.isnan(none)
    assert sentiment.score([]) == []


def test_it_reacts_to_names_of_groups_and_says_so(sentiment: Sentiment) -> None:
    # docs/statistics.md section 1.1: why group names are masked before scoring.
    blind, rich, person = sentiment.score(["I am a blind person.", "I am a rich person.", "I am a person."])
    assert (blind, rich, person) == pytest.approx((-0.4019, 0.5574, 0.0))
    assert sentiment.sees_terms


def test_it_names_its_instrument(sentiment: Sentiment) -> None:
    assert isinstance(sentiment, Scorer)
    assert sentiment.version == f"vaderSentiment {version('vaderSentiment')}"
    assert ".695" in sentiment.description
    assert [scorer.name for scorer in pytest_llmaudit_scorers()] == ["sentiment"]


def test_its_words_can_be_listed_in_lower_case(sentiment: Sentiment) -> None:
    assert {"good", "terrible", "blind"} <= sentiment.lexicon
    assert all(word == word.lower() for word in sentiment.lexicon)
    assert 7000 < len(sentiment.lexicon) < 8000


def test_it_says_how_well_it_does(sentiment: Sentiment) -> None:
    assert isinstance(sentiment, Validated)
    assert str(sentiment.validation).startswith("AUC .695, kappa .282, ")
    assert str(sentiment.validation).endswith(" on 10,662 movie sentences (Pang and Lee 2005), computed by llmaudit")
