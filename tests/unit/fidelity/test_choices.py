"""Multiple choice and flips, by hand."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from llmaudit.fidelity.choices import (
    Answers,
    ChoiceParams,
    Choices,
    choice_estimates,
    choice_metrics,
    choice_requests,
)
from llmaudit.types import Failure, Likelihood, Sample, Score


def item(number: int, **changes: Any) -> ChoiceParams:
    return ChoiceParams.model_validate({"question": f"Q{number}", "options": ["a", "bb"], "answer": 0, **changes})


def answered(items: list[ChoiceParams], logprobs: list[list[float]]) -> list[Sample]:
    """Answer every option; one token per letter."""
    values = iter([value for row in logprobs for value in row])
    asked = [request for request in choice_requests(items, "m") if isinstance(request, Score)]
    return [
        Sample(request, Likelihood(next(values), len(request.continuation.strip()), greedy=False)) for request in asked
    ]


def test_options_follow_their_question_after_a_space() -> None:
    first, second = choice_requests([item(1, options=["a", " b"], cluster="topic")], "nf4")
    assert isinstance(first, Score)
    assert isinstance(second, Score)
    assert (first.context, first.continuation, second.continuation) == ("Q1", " a", " b")
    assert first.cluster == "topic"
    assert first.factors == {"part": "choice", "model": "nf4", "option": 0}


@pytest.mark.parametrize(("by", "chosen"), [("total", 0.0), ("token", 1.0)])
def test_the_most_likely_option_in_total_or_per_token(by: Literal["total", "token"], chosen: float) -> None:
    # Lengths 1 and 2: -3 against -4 in total, -3 against -2 per token.
    assert Answers.of([item(1)], answered([item(1)], [[-3, -4]]), by).chosen.tolist() == [chosen]


def test_an_item_with_a_failure_has_no_answer() -> None:
    samples = answered([item(1)], [[-3, -4]])
    samples[1] = Sample(samples[1].request, Failure("no memory"))
    assert np.isnan(Answers.of([item(1)], samples, "total").chosen).tolist() == [True]


def estimates(before: list[float], after: list[float] | str, items: list[ChoiceParams]) -> dict[str, Any]:
    variant = after if isinstance(after, str) else Answers(np.array(after))
    return choice_estimates(items, Answers(np.array(before)), {"v": variant})


def test_flips_by_hand() -> None:
    items = [item(number, options=["a", "b", "c"]) for number in range(5)]
    # Right stays right, right turns wrong, wrong turns right, wrong turns otherwise wrong, wrong stays.
    found = estimates([0, 0, 1, 1, 2], [0, 1, 0, 2, 2], items)
    assert set(found) == set(choice_metrics(["v"]))
    values = {name: found[f"{name}.v"].value for name in ("flips", "harmful_flips", "beneficial_flips", "any_flip")}
    assert values == pytest.approx({"flips": 0.4, "harmful_flips": 0.2, "beneficial_flips": 0.2, "any_flip": 0.6})
    assert found["accuracy.reference"].value == found["accuracy.v"].value == pytest.approx(0.4)
    assert found["flips.v"].cluster_values == {"Q0": 0, "Q1": 1, "Q2": 1, "Q3": 0, "Q4": 0}


def test_the_cluster_is_the_unit() -> None:
    items = [item(number, cluster="one" if number < 3 else "two") for number in range(4)]
    found = estimates([0, 0, 0, 0], [1, 1, 1, 0], items)
    assert found["flips.v"].value == 0.5
    assert (found["flips.v"].n, found["flips.v"].clusters) == (4, 2)


def test_items_without_an_answer_are_missing() -> None:
    items = [item(number) for number in range(4)]
    found = estimates([0, 0, np.nan, 0], [0, 1, 0, 0], items)
    assert (found["flips.v"].n, found["flips.v"].missing) == (3, 1)
    assert found["flips.v"].problem == "1 of 4 items have no answer"
    assert found["accuracy.v"].missing == 0


def test_a_variant_that_cannot_be_had() -> None:
    found = estimates([0, 0], "needs a package", [item(1), item(2)])
    assert found["flips.v"].problem == found["accuracy.v"].problem == "needs a package"
    assert found["accuracy.reference"].value == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"options": ["a"]}, "at least 2"),
        ({"answer": 2}, "answer 2: the options are numbered 0 to 1"),
        ({"answer": -1}, "greater than or equal to 0"),
        ({"options": ["a", "a"]}, "two options are the same text"),
        ({"question": " "}, "pattern"),
    ],
)
def test_an_impossible_item_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        item(1, **wrong)


def test_no_question_is_asked_twice() -> None:
    with pytest.raises(ValidationError, match="items 1 and 3 ask the same question"):
        TypeAdapter(Choices).validate_python([item(1), item(2), item(1)])
