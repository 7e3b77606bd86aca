"""Renyi efficiency, coverage and Gini of counted texts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmaudit.audit import Metric
from llmaudit.stats import gini
from llmaudit.token_costs.vocabulary import coverage_estimate, efficiency_estimates, gini_estimate

HIGHER = Metric("a share", "proportion", "higher")
EXACT = Metric("a share", "proportion", "higher", deterministic=True)
LOWER = Metric("an index", "index", "lower")
DOCUMENTS = ["a", "b", "c"]


def ids(*passages: list[int] | None) -> list[np.ndarray[tuple[int], np.dtype[np.int64]] | None]:
    return [None if each is None else np.array(each, dtype=np.int64) for each in passages]


def test_a_text_that_uses_the_whole_vocabulary_evenly() -> None:
    even, one = ids([0, 1], [2, 3], [0, 1, 2, 3]), ids([0], [0], [0])
    unknown = {"x": 0.0, "y": 0.0}
    found = efficiency_estimates("r", HIGHER, {"x": even, "y": one}, 4, unknown, DOCUMENTS)
    assert found["r.x"].value == pytest.approx(1)
    assert found["r.y"].value == pytest.approx(0)
    assert found["r"].value == pytest.approx(0)
    assert found["r.x"].interval is not None
    assert (found["r.x"].n, found["r.x"].clusters) == (3, 3)


def test_passages_of_one_document_are_one_unit() -> None:
    found = efficiency_estimates("r", HIGHER, {"x": ids([0], [1], [1])}, 4, {"x": 0.0}, ["a", "a", "b"])
    assert (found["r.x"].n, found["r.x"].clusters) == (3, 2)


def test_without_the_size_of_the_vocabulary_there_is_no_efficiency() -> None:
    found = efficiency_estimates("r", HIGHER, {"x": ids([0], [1], [2])}, None, {"x": 0.0}, DOCUMENTS)
    assert math.isnan(found["r"].value)
    assert found["r.x"].problem == "the size of the vocabulary is not known"
    covered = coverage_estimate("c", EXACT, {"x": ids([0], [1], [2])}, None)
    assert math.isnan(covered.value)
    assert covered.problem == "the size of the vocabulary is not known"


def test_missing_and_unknown_texts_are_said() -> None:
    found = efficiency_estimates(
        "r", HIGHER, {"x": ids([0, 1], None, [1]), "y": ids([0], [1], [2])}, 4, {"x": 0.0, "y": 0.5}, DOCUMENTS
    )
    assert (found["r.x"].n, found["r.x"].missing) == (2, 1)
    assert found["r.x"].problem == "1 of 3 sentences could not be counted"
    assert found["r.y"].problem == "50% of the tokens are unknown (at most 10%)"
    assert found["r"].problem is not None
    gone = efficiency_estimates("r", HIGHER, {"x": ids(None, None, None)}, 4, {"x": 0.0}, DOCUMENTS)
    assert math.isnan(gone["r"].value)


def test_coverage_counts_every_token_once_in_all_languages() -> None:
    found = coverage_estimate("c", EXACT, {"x": ids([0, 1, 1]), "y": ids([1, 2])}, 12)
    assert (found.value, found.details["tokens used"], found.n) == (0.25, 3, 2)
    lost = coverage_estimate("c", EXACT, {"x": ids([0], None)}, 12)
    assert lost.problem == "1 of 2 texts could not be tokenized"
    assert math.isnan(coverage_estimate("c", EXACT, {"x": ids(None)}, 12).value)


def test_gini_by_hand() -> None:
    tokens = {"x": np.array([1.0, 2, 3]), "y": np.array([3.0, 6, 9])}
    found = gini_estimate("gini", LOWER, tokens, {"x": 0.0, "y": 0.0}, DOCUMENTS)
    assert found.value == pytest.approx(float(gini([6, 18]))) == pytest.approx(0.25)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((0.25, 0.25))  # alike in every document
    assert found.cluster_values == pytest.approx(dict.fromkeys(DOCUMENTS, 0.25))
    assert (found.n, found.clusters, found.missing) == (6, 3, 0)


def test_languages_that_pay_the_same() -> None:
    tokens = dict.fromkeys("xyz", np.array([5.0, 1, 2]))
    assert gini_estimate("gini", LOWER, tokens, dict.fromkeys("xyz", 0.0), DOCUMENTS).value == 0


def test_a_sentence_that_one_language_lacks_counts_for_none() -> None:
    tokens = {"x": np.array([1.0, math.nan, 3]), "y": np.array([3.0, 6, 9])}
    found = gini_estimate("gini", LOWER, tokens, {"x": 0.0, "y": 0.0}, DOCUMENTS)
    assert found.value == pytest.approx(0.25)
    assert (found.n, found.clusters, found.missing) == (4, 2, 2)
    assert math.isnan(found.cluster_values["b"])
    assert found.problem == "x: 1 of 3 sentences could not be counted"
