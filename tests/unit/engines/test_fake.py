"""The engine without a model."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.engines.base import Engine
from llmaudit.engines.fake import FakeEngine, answer
from llmaudit.types import (
    Attend,
    Attention,
    Completion,
    Embed,
    Embedding,
    Failure,
    Generate,
    Likelihood,
    NextToken,
    NextTokens,
    Request,
    Response,
    Sampling,
    Score,
    Tokenize,
    Tokens,
)

REQUESTS: list[Request] = [
    Generate("Women are", "c"),
    Generate("Women are", "c", sample=1),
    Generate("Men are", "c"),
    Score("a", "bc d", "c"),
    NextToken("a", "c"),
    Tokenize("grüß dich", "c"),
    Embed("grüß dich", "c"),
    Attend("grüß dich", "c"),
]


def answers(requests: list[Request], seed: int = 0) -> list[Response]:
    found = dict(FakeEngine(seed=seed).run(requests))
    return [found[number] for number in range(len(requests))]


def test_it_is_an_engine_and_answers_every_type() -> None:
    engine = FakeEngine()
    assert isinstance(engine, Engine)
    kinds = [type(response) for response in answers(REQUESTS)]
    assert kinds == [Completion, Completion, Completion, Likelihood, NextTokens, Tokens, Embedding, Attention]
    assert engine.capabilities == {type(request) for request in REQUESTS}
    engine.close()


def test_an_answer_depends_on_its_request_alone() -> None:
    assert answers(REQUESTS[::-1])[::-1] == answers(REQUESTS)
    assert [answers([request])[0] for request in REQUESTS] == answers(REQUESTS)


def test_samples_prompts_and_seeds_differ() -> None:
    texts = [response.text for response in answers(REQUESTS) if isinstance(response, Completion)]
    assert len(set(texts)) == 3
    assert answers(REQUESTS, seed=1)[0] != answers(REQUESTS)[0]


def test_a_completion_keeps_to_its_limit() -> None:
    found = answer(Generate("x", "c", Sampling(max_new_tokens=2)))
    assert isinstance(found, Completion)
    assert len(found.text.split()) == 2


def test_a_handler_answers_first() -> None:
    def handler(request: Request) -> Response | str | None:
        if isinstance(request, Score):
            return Failure("no")
        return "Hello there" if isinstance(request, Generate) else None

    engine = FakeEngine(handler)
    found = dict(engine.run(REQUESTS))
    assert found[0] == Completion("Hello there", 2, "stop", "Women are")
    assert found[3] == Failure("no")
    assert found[4] == answer(REQUESTS[4])
    assert engine.requests == REQUESTS


def test_a_distribution_is_one() -> None:
    found = answer(NextToken("x", "c", top=99))
    assert isinstance(found, NextTokens)
    assert sum(math.exp(logprob) for _, logprob in found.top) == pytest.approx(1)
    assert found.entropy == pytest.approx(-sum(math.exp(value) * value for _, value in found.top))
    assert [value for _, value in found.top] == sorted((value for _, value in found.top), reverse=True)
    few = answer(NextToken("x", "c", top=3))
    assert isinstance(few, NextTokens)
    assert few.top == found.top[:3]


def test_a_likelihood_is_one() -> None:
    found = answer(Score("a", "", "c"))
    assert isinstance(found, Likelihood)
    assert found.logprob < 0
    assert found.tokens == 1


@given(st.text())
def test_tokenizing_loses_nothing(text: str) -> None:
    found = answer(Tokenize(text, "c"))
    assert isinstance(found, Tokens)
    assert found.decoded == text
    assert [text[start : start + len(piece)] for start, piece in zip(found.starts, found.pieces, strict=True)] == list(
        found.pieces
    )


def test_words_are_tokens() -> None:
    found = answer(Tokenize("Grüße, Welt_1!", "c"))
    assert isinstance(found, Tokens)
    assert found.pieces == ("Grüße", ",", " Welt", "_", "1", "!")


def test_each_token_of_a_likelihood() -> None:
    found, total = answers([Score("a", "bc d e", "c", each_token=True), Score("a", "bc d e", "c")])
    assert isinstance(found, Likelihood)
    assert isinstance(total, Likelihood)
    assert len(found.token_logprobs) == found.tokens == 3
    assert sum(found.token_logprobs) == pytest.approx(found.logprob)
    assert total == Likelihood(found.logprob, 3, greedy=False)


def test_the_mass_of_words() -> None:
    lists = ((" work", " time"), (" work",), ("work", " work", " work"), (), (" unheard",), (" work", " unheard"))
    found = answer(NextToken("x", "c", top=99, words=lists))
    assert isinstance(found, NextTokens)
    probabilities = {word: math.exp(logprob) for word, logprob in found.top}
    both, one, again, empty, unknown, partly = found.mass
    assert both == pytest.approx(probabilities["work"] + probabilities["time"])
    assert one == again == partly == pytest.approx(probabilities["work"])
    assert empty == unknown == 0


def test_the_full_distribution() -> None:
    full, short = answers([NextToken("x", "c", top=3, full=True), NextToken("x", "c", top=3)])
    assert isinstance(full, NextTokens)
    assert isinstance(short, NextTokens)
    assert sum(map(math.exp, full.logprobs)) == pytest.approx(1)
    assert {logprob for _, logprob in full.top} <= set(full.logprobs)
    assert (short.top, short.entropy, short.mass, short.logprobs) == (full.top, full.entropy, (), ())


def test_an_embedding_depends_on_text_pooling_and_layer() -> None:
    asked: list[Request] = [
        Embed("Women are", "c"),
        Embed("Men are", "c"),
        Embed("Women are", "c", "last"),
        Embed("Women are", "c", layer=1),
    ]
    found = answers(asked)
    vectors = [response.vector for response in found if isinstance(response, Embedding)]
    assert len(set(vectors)) == len(asked)
    assert {len(vector) for vector in vectors} == {16}
    assert all(-1 <= number <= 1 for vector in vectors for number in vector)
    assert answers([Embed("Women are", "another cluster", factors={"group": "women"})]) == found[:1]
    assert isinstance(found[0], Embedding)
    assert found[0].tokens == 2


@given(st.text(max_size=20), st.sampled_from([(), (0,), (1, 0), (5,)]))
def test_attention_looks_back_and_sums_to_one(text: str, layers: tuple[int, ...]) -> None:
    found = answer(Attend(text, "c", layers))
    assert isinstance(found, Attention)
    assert "".join(found.pieces) == text
    assert found.layers == (layers or (0, 1))
    assert len(found.weights) == len(found.layers)
    for layer in found.weights:
        assert len(layer) == 2
        for head in layer:
            assert len(head) == len(found.pieces)
            for query, row in enumerate(head):
                assert len(row) == len(found.pieces)
                assert sum(row) == pytest.approx(1)
                assert not any(row[query + 1 :])
