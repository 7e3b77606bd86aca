"""Biases of tokens and of words, against the closed form of one biased step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.engines.hf.biases import WordBias
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.noise import row_key
from llmaudit.engines.hf.sampling import RowSampler
from llmaudit.types import Completion, Failure, Generate, NextToken, NextTokens, Response, Sampling

CPU = torch.device("cpu")
PROMPT = "In most offices, women are"


@pytest.fixture(scope="module")
def llama(tiny: Any, llama_folder: Path) -> HFEngine:
    engine: HFEngine = tiny.engine(llama_folder)
    return engine


def answers(engine: HFEngine, requests: Sequence[Any]) -> list[Response]:
    found = dict(engine.run(requests))
    return [found[index] for index in range(len(requests))]


def distribution(engine: HFEngine, bias: tuple[tuple[int, float], ...] = ()) -> torch.Tensor:
    (found,) = answers(engine, [NextToken(PROMPT, "c", full=True, logit_bias=bias)])
    assert isinstance(found, NextTokens)
    return torch.tensor(found.logprobs, dtype=torch.float64).exp()


@pytest.mark.parametrize("nats", [-3.0, -0.5, 0.5, 2.0, 5.0])
def test_one_biased_step_has_its_closed_form(llama: HFEngine, nats: float) -> None:
    chosen = [7, 30, 200, 255]
    plain, biased = distribution(llama), distribution(llama, tuple((token, nats) for token in chosen))
    mass = float(plain[chosen].sum())
    expected = math.exp(nats) * mass / (1 - mass + math.exp(nats) * mass)
    assert float(biased[chosen].sum()) == pytest.approx(expected, abs=1e-6)
    divergence = float((biased * (biased.log() - plain.log())).sum())
    assert divergence == pytest.approx(nats * expected - math.log(1 - mass + math.exp(nats) * mass), abs=1e-6)


def test_the_sampler_draws_from_the_biased_distribution() -> None:
    logits = torch.tensor([0.3, -1.0, 0.8, 0.1])
    setting = Sampling(logit_bias=((1, 2.0),), word_bias=(((2,), -1.0),))
    expected = torch.softmax(logits + torch.tensor([0.0, 2.0, -1.0, 0.0]), 0)
    count = 40_000
    sampler = RowSampler([setting] * count, [row_key(0, "bias", row) for row in range(count)], CPU)
    drawn = sampler.draw(logits.repeat(count, 1), torch.zeros(count, dtype=torch.int32), [()] * count)
    found = torch.bincount(drawn, minlength=4) / count
    assert torch.allclose(found, expected, atol=4 * 0.5 / math.sqrt(count))


def test_a_bias_of_nothing_changes_no_sample(llama: HFEngine) -> None:
    settings = [
        Sampling(max_new_tokens=12),
        Sampling(max_new_tokens=12, logit_bias=((7, 0.0), (30, 0.0))),
        Sampling(max_new_tokens=12, word_bias=(((7, 30), 0.0), ((30,), 0.0))),
    ]
    found = answers(llama, [Generate(PROMPT, "c", setting, sample) for sample in range(8) for setting in settings])
    texts = [completion.text for completion in found if isinstance(completion, Completion)]
    assert texts[0::3] == texts[1::3] == texts[2::3]
    assert len(set(texts)) == 8


def test_a_later_token_is_biased_behind_the_earlier_ones_alone() -> None:
    bias = WordBias((((5, 6, 7), 2.0), ((5, 8), 1.0), ((9,), 3.0)))
    assert bias.first == {5: 2.0, 9: 3.0}
    assert bias.more([]) == {}
    assert bias.more([6]) == {}
    assert bias.more([1, 5]) == {6: 2.0, 8: 1.0}
    assert bias.more([5, 6]) == {7: 2.0}
    assert bias.more([5, 6, 7]) == {}


def test_words_that_share_a_token_bias_it_once_and_by_the_stronger() -> None:
    bias = WordBias((((5,), 1.0), ((5, 6), -2.0), ((5, 5), 1.5)))
    assert bias.first == {5: -2.0}
    assert bias.more([5]) == {6: -2.0, 5: 0.0}


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple), st.just(2.0)), max_size=6),
    st.lists(st.integers(0, 4), max_size=6),
)
def test_every_word_begun_can_be_ended(words: list[tuple[tuple[int, ...], float]], drawn: list[int]) -> None:
    bias = WordBias(tuple(words))
    more = bias.more(drawn)
    for tokens, nats in words:
        for place, token in enumerate(tokens):
            if place <= len(drawn) and tuple(drawn[len(drawn) - place :]) == tokens[:place]:
                assert bias.first.get(token, 0.0) + more.get(token, 0.0) == nats


def test_a_word_is_spelt_to_its_end(llama: HFEngine) -> None:
    word = (200, 33, 255, 41)
    # A word may begin anywhere: that it goes on is a little likelier here.
    further = tuple((token, 100.0 * place) for place, token in enumerate(word))
    setting = Sampling(temperature=0, max_new_tokens=4, logit_bias=further, word_bias=((word, 1000.0),))
    (found,) = answers(llama, [Generate(PROMPT, "c", setting)])
    assert isinstance(found, Completion)
    assert found.text == llama._tokenizer.decode(word)


def test_a_bias_of_a_token_that_there_is_none_of_is_a_failure(llama: HFEngine) -> None:
    asked = [
        Generate(PROMPT, "c", Sampling(word_bias=(((5, 300), 1.0),))),
        NextToken(PROMPT, "c", logit_bias=((-1, 1.0),)),
    ]
    assert all(isinstance(found, Failure) and "tokens 0 to 299" in found.error for found in answers(llama, asked))
