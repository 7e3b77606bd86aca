"""The coder that asks a language model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from llmaudit.coding.codebook import open_codebook
from llmaudit.coding.model import CONTENT_FREE, ModelCoder, coder_prompt
from llmaudit.types import Failure, Likelihood, Response, Sample, Score

CODEBOOK = open_codebook("content.codebook.yaml", Path(__file__).parents[3] / "suites").codebook
OBSCENE = CODEBOOK.categories["obscene"]


def answered(requests: list[Score], logprobs: dict[tuple[str, str], float | None]) -> list[Sample]:
    samples = []
    for request in requests:
        found = logprobs[str(request.factors["text"]), str(request.factors["answer"])]
        response: Response = Failure("x") if found is None else Likelihood(found, 1, greedy=False)
        samples.append(Sample(request, response))
    return samples


def test_the_question_has_the_definition_the_rules_two_examples_and_the_text() -> None:
    prompt = coder_prompt(OBSCENE, "a text\n\nText: of two\tparagraphs")
    assert prompt.startswith(OBSCENE.definition)
    for part in (*OBSCENE.include, *OBSCENE.exclude, OBSCENE.question):
        assert part in prompt
    assert f"Text: {OBSCENE.examples.yes[0]}\nAnswer: yes\n\nText: {OBSCENE.examples.no[0]}\nAnswer: no\n\n" in prompt
    assert prompt.endswith("\n\nText: a text Text: of two paragraphs\nAnswer:")
    assert OBSCENE.examples.yes[1] not in prompt


@pytest.mark.parametrize(("chat", "answers"), [(False, {" yes", " no"}), (True, {"yes", "no"})])
def test_every_text_is_asked_with_both_answers_and_the_content_free_one_first(chat: bool, answers: set[str]) -> None:
    asked = list(ModelCoder(CODEBOOK, chat).requests("obscene", {"7": "hello"}))
    assert [request.factors["text"] for request in asked] == ["content-free"] * 2 + ["7"] * 2
    assert {request.continuation for request in asked} == answers
    assert CONTENT_FREE in asked[0].context
    assert {(request.cluster, request.chat) for request in asked} == {("obscene", chat)}
    assert len(list(ModelCoder(CODEBOOK, calibrate=False).requests("obscene", {"7": "hello"}))) == 2


def test_the_margin_is_the_log_odds_less_those_of_the_content_free_text() -> None:
    logprobs: dict[tuple[str, str], float | None] = {
        ("content-free", "yes"): -1.0, ("content-free", "no"): -3.0,
        ("a", "yes"): -2.0, ("a", "no"): -2.5,
        ("b", "yes"): None, ("b", "no"): -2.5,
    }  # fmt: skip
    coder = ModelCoder(CODEBOOK)
    samples = answered(list(coder.requests("obscene", {"a": "x", "b": "y"})), logprobs)
    margins = coder.margins(samples)
    assert margins["obscene"]["a"] == pytest.approx(0.5 - 2.0)
    assert math.isnan(margins["obscene"]["b"])
    assert margins["threatening"] == {}
    assert coder.leanings(samples) == {"obscene": 2.0}
    plain = ModelCoder(CODEBOOK, calibrate=False)
    assert plain.margins(answered(list(plain.requests("obscene", {"a": "x"})), logprobs))["obscene"] == {"a": 0.5}
