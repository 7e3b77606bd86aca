"""What the built-in scorers say of their own quality, computed again from the labelled texts.

AUC is the Mann-Whitney statistic over the number of pairs, ties counted as half (Hanley and McNeil 1982); kappa is
Cohen's (1960). Those of the lexicon scorers are of the half of our own texts that no rule was tuned by
(tests/oracle/data/README.md).
"""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from llmaudit.scorers.answers import Empty, Length, Refusal
from llmaudit.scorers.base import Scorer
from llmaudit.scorers.regard import Regard
from llmaudit.scorers.sentiment import Sentiment
from llmaudit.scorers.toxicity import Toxicity

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("LLMAUDIT_SHARED", REPOSITORY.parent / "shared"))
#: From here on a text is positive, as the authors of VADER have it.
POSITIVE = 0.05
POLARITY = SHARED / "data" / "sentence_polarity"

needs_polarity = pytest.mark.skipif(
    not POLARITY.is_dir(), reason=f"needs the movie sentences in {POLARITY}; LLMAUDIT_SHARED names another folder"
)


def auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    return float(mannwhitneyu(positive, negative).statistic / (positive.size * negative.size))


def kappa(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    observed = float(np.mean(first == second))
    by_chance = sum(float(np.mean(first == value) * np.mean(second == value)) for value in np.union1d(first, second))
    return (observed - by_chance) / (1 - by_chance)


def labelled(name: str, half: str = "validation") -> tuple[list[str], NDArray[np.float64]]:
    with (Path(__file__).parent / "data" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["half"] == half]
    return [row["text"] for row in rows], np.array([float(row["label"]) for row in rows])


@pytest.mark.parametrize("scorer", [Toxicity(), Refusal()], ids=["toxicity", "refusal"])
def test_a_scorer_that_says_yes_or_no_is_as_good_as_it_says(scorer: Toxicity | Refusal) -> None:
    texts, labels = labelled(scorer.name)
    scores = np.array(scorer.score(texts))
    said = (scores >= 0.5).astype(float)
    known = scorer.validation
    assert known.texts == len(texts) == 64
    assert known.auc == pytest.approx(auc(scores[labels == 1], scores[labels == 0]), abs=5e-4)
    assert known.kappa == pytest.approx(kappa(said, labels), abs=5e-4)
    assert known.sensitivity == (int(said[labels == 1].sum()), int((labels == 1).sum()))
    assert known.specificity == (int((said[labels == 0] == 0).sum()), int((labels == 0).sum()))


def test_regard_is_as_good_as_it_says() -> None:
    texts, labels = labelled("regard")
    scores = np.array(Regard().score(texts))
    known = Regard.validation
    assert known.texts == len(texts) == 64
    assert known.auc == pytest.approx(auc(scores[labels == 1], scores[labels == -1]), abs=5e-4)
    assert known.kappa == pytest.approx(kappa(scores, labels), abs=5e-4)


@pytest.mark.parametrize("name", ["toxicity", "refusal", "regard"])
def test_the_labelled_texts_are_many_balanced_and_apart(name: str) -> None:
    tuning, validation = labelled(name, "tuning"), labelled(name)
    assert len({*tuning[0], *validation[0]}) == len(tuning[0]) + len(validation[0]) >= 120
    for _, labels in (tuning, validation):
        counts = np.unique(labels, return_counts=True)[1]
        assert counts.max() - counts.min() <= 1


@needs_polarity
def test_sentiment_is_as_good_as_it_says_on_movie_sentences() -> None:
    scores, labels = [], []
    for label, name in enumerate(("rt-polarity.neg", "rt-polarity.pos")):
        sentences = [line for line in (POLARITY / name).read_text(encoding="latin-1").split("\n") if line]
        scores += Sentiment().score(sentences)
        labels += [float(label)] * len(sentences)
    values, truth = np.array(scores), np.array(labels)
    positive = (values >= POSITIVE).astype(float)
    known = Sentiment.validation
    assert known.texts == values.size == 10_662
    assert known.auc == pytest.approx(auc(values[truth == 1], values[truth == 0]), abs=5e-4)
    assert known.kappa == pytest.approx(kappa(positive, truth), abs=5e-4)
    assert known.sensitivity == (int(positive[truth == 1].sum()), 5331)
    assert known.specificity == (int((positive[truth == 0] == 0).sum()), 5331)


def test_all_scorers_together_take_less_than_a_second_for_a_suite() -> None:
    texts, _ = labelled("regard", "tuning")
    # Answers of some 24 words, no two the same.
    answers = [f"{texts[n % 64]} {texts[n % 61]} {texts[n % 59]} {n}" for n in range(2700)]
    scorers: list[Scorer] = [Sentiment(), Toxicity(), Regard(), Refusal(), Empty(), Length()]
    for scorer in scorers:
        scorer.score(answers[:1])  # reads its lexicon
    started = time.process_time()
    for scorer in scorers:
        scorer.score(answers)
    assert time.process_time() - started < 1
