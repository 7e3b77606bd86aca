"""Similarity of answers, and the noise floor beside it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.groupwise.answers import Answers
from llmaudit.groupwise.similarity import cosines, similarities, similarity_metrics
from llmaudit.masking import Mask

TEXTS = st.lists(st.text("abcde ", min_size=1, max_size=16), min_size=1, max_size=6)


@given(TEXTS)
def test_cosines_are_between_nothing_and_all_and_the_same_both_ways(texts: list[str]) -> None:
    found = cosines(texts)
    known = np.isfinite(found)
    empty = np.array([not text.split() for text in texts])
    assert (known == ~np.logical_or.outer(empty, empty)).all()
    assert ((found[known] >= 0) & (found[known] <= 1)).all()
    assert found == pytest.approx(found.T, nan_ok=True)
    assert np.diag(found)[~empty] == pytest.approx(1)


def test_cosines_by_hand() -> None:
    found = cosines(["a A b", "a b c", "d", ""])
    assert found[0, 1] == pytest.approx(3 / math.sqrt(5 * 3))
    assert found[0, 2] == 0
    assert math.isnan(found[0, 3])


def test_answers_from_the_random_numbers_alone_have_no_deficit(answers: Callable[..., Answers]) -> None:
    found = similarities(answers(lambda cluster, group, position: f"w{position} and more"), None)
    assert found.estimates["counterfactual_similarity"].value == pytest.approx(1)
    # Two indices share two words of three, inside a group as between groups.
    assert found.estimates["similarity_deficit.a-b"].value == pytest.approx(0)
    rows = {str(label): values for label, *values in found.table.rows}
    assert rows["a and b"] == pytest.approx([1, 2 / 3])
    assert rows["a and a: the noise floor"] == [None, pytest.approx(2 / 3)]


def test_random_numbers_that_groups_share_do_not_hide_what_differs(answers: Callable[..., Answers]) -> None:
    # At one index the groups share two words of three, as two answers of one group do at two indices.
    asked = answers(lambda cluster, group, position: f"w{position} and {group}")
    found = similarities(asked, None).estimates
    assert found["counterfactual_similarity"].value == pytest.approx(2 / 3)
    assert found["similarity_deficit"].value == pytest.approx(1 / 3)


def test_groups_that_are_treated_alike_have_no_deficit_on_average(answers: Callable[..., Answers]) -> None:
    rng = np.random.default_rng(0)
    asked = answers(lambda *_: " ".join(rng.choice(list("abcdefgh"), 5)), clusters=200, samples=6, paraphrases=2)
    deficit = similarities(asked, None).estimates["similarity_deficit"]
    assert deficit.interval is not None
    assert deficit.interval.low < 0 < deficit.interval.high
    assert deficit.interval.high - deficit.interval.low < 0.025


def test_groups_that_are_told_of_in_other_words_have_a_deficit(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda cluster, group, position: f"{group}1 {group}2 the", groups=("a", "b", "c"))
    found = similarities(asked, None).estimates
    assert found["counterfactual_similarity"].value == pytest.approx(1 / 3)
    assert found["similarity_deficit"].value == pytest.approx(2 / 3)
    assert found["similarity_deficit"].interval is not None
    assert found["similarity_deficit"].n == 80


def test_names_are_masked_before_words_are_compared(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda cluster, group, position: f"{group} work")
    plain, masked = (similarities(asked, mask).estimates for mask in (None, Mask(["a", "b"], "people")))
    assert plain["counterfactual_similarity"].value == pytest.approx(0.5)
    assert masked["counterfactual_similarity"].value == pytest.approx(1)


def test_the_floor_is_of_answers_to_one_paraphrase(answers: Callable[..., Answers]) -> None:
    # Answers hang on the paraphrase alone: two of the same paraphrase are alike.
    asked = answers(lambda cluster, group, position: f"p{position % 2}", paraphrases=2)
    assert similarities(asked, None).estimates["similarity_deficit"].value == pytest.approx(0)
    alone = answers(lambda cluster, group, position: f"p{position}", paraphrases=4)
    assert math.isnan(similarities(alone, None).estimates["similarity_deficit"].value)


def test_missing_answers_decide_nothing_and_empty_ones_are_not_compared(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda cluster, group, position: None if group == "a" else "words")
    found = similarities(asked, None).estimates
    assert math.isnan(found["counterfactual_similarity"].value)
    assert found["counterfactual_similarity"].interval is None
    assert "100% of the answers for a" in (found["similarity_deficit"].problem or "")
    empty = answers(lambda cluster, group, position: "" if position == 0 else "words")
    assert similarities(empty, None).estimates["counterfactual_similarity"].value == pytest.approx(1)


def test_metrics_and_estimates_are_the_same_names(answers: Callable[..., Answers]) -> None:
    metrics = similarity_metrics(("a", "b", "c"))
    found = similarities(answers(lambda *cell: "x", groups=("a", "b", "c")), None).estimates
    assert set(found) == set(metrics)
    for name, metric in metrics.items():
        assert (found[name].metric, found[name].unit, found[name].better) == (name, metric.unit, metric.better)
