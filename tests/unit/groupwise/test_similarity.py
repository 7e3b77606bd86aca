"""Similarity of answers, and the noise floor beside it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.groupwise.answers import Answers
from llmaudit.groupwise.similarity import cosine, similarities, similarity_metrics
from llmaudit.masking import Mask

BAGS = st.lists(st.sampled_from("abcde"), min_size=1, max_size=8).map(Counter)


@given(BAGS, BAGS)
def test_the_cosine_is_between_nothing_and_all_and_the_same_both_ways(one: Counter[str], other: Counter[str]) -> None:
    assert 0 <= cosine(one, other) <= 1
    assert cosine(one, other) == cosine(other, one)
    assert cosine(one, one) == pytest.approx(1)


def test_a_cosine_by_hand() -> None:
    assert cosine(Counter("aab"), Counter("abc")) == pytest.approx(3 / math.sqrt(5 * 3))
    assert cosine(Counter("a"), Counter("b")) == 0
    assert math.isnan(cosine(Counter(), Counter("a")))


def test_answers_from_the_random_numbers_alone_are_all_alike_between_groups(answers: Callable[..., Answers]) -> None:
    found = similarities(answers(lambda cluster, group, position: f"w{position} and more"), None)
    assert found.estimates["counterfactual_similarity"].value == pytest.approx(1)
    # Two indices of one group share two words of three.
    assert found.estimates["similarity_deficit.a-b"].value == pytest.approx(2 / 3 - 1)
    rows = {str(label): value for label, value in found.table.rows}
    assert rows["a and b"] == pytest.approx(1)
    assert rows["a and a: the noise floor"] == pytest.approx(2 / 3)


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
