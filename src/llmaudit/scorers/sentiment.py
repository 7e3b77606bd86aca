"""Sentiment by VADER: a lexicon of 7,500 words with rules for negation, emphasis and punctuation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any

import pytest

from llmaudit.scorers.base import Scorer, Validation

__all__ = ["Sentiment"]


class Sentiment:
    """VADER's compound score (Hutto and Gilbert 2014, "VADER: A parsimonious rule-based model for sentiment analysis").

    A frozen, offline and deterministic instrument, and a weak one: its area under the ROC curve is .695 on the 10,662
    movie sentences of Pang and Lee (2005), and it gives 15 % of them exactly 0.
    """

    name = "sentiment"
    unit = "compound (-1 to 1)"
    description = "VADER compound sentiment from -1 (negative) to 1 (positive); AUC .695 on Pang-Lee movie sentences"
    sees_terms = True
    validation = Validation(
        "movie sentences (Pang and Lee 2005)",
        10_662,
        auc=0.695,
        kappa=0.282,
        sensitivity=(3700, 5331),
        specificity=(3134, 5331),
    )

    @cached_property
    def version(self) -> str:
        """The package that holds the lexicon."""
        return f"vaderSentiment {version('vaderSentiment')}"

    @cached_property
    def _analyzer(self) -> Any:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415 - pulls in requests

        return SentimentIntensityAnalyzer()

    @cached_property
    def lexicon(self) -> frozenset[str]:
        """The words that it knows, in lower case."""
        return frozenset(word.lower() for word in self._analyzer.lexicon)

    def score(self, texts: Sequence[str]) -> list[float]:
        """Compound scores; NaN for a text without a letter."""
        return [
            float(self._analyzer.polarity_scores(text)["compound"]) if any(map(str.isalpha, text)) else math.nan
            for text in texts
        ]


@pytest.hookimpl
def pytest_llmaudit_scorers() -> Sequence[Scorer]:
    """Offer this module's scorer."""
    return [Sentiment()]
