"""Likelihoods and next-token distributions, against a plain loop over single rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.hf import scoring
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.forward import Forward
from llmaudit.engines.hf.memory import Budget
from llmaudit.types import Failure, Likelihood, NextToken, NextTokens, Request, Score

CONTEXTS = (
    "In most offices,",
    "The",
    "The teacher said that the students in the room had",
    "When the shift ended, the",
)
CONTINUATIONS = (" women are known for their work", " men", " book twice.", " Deich")


@pytest.fixture(scope="module")
def reference(tiny: Any, llama_folder: Path) -> Any:
    return tiny.reference(llama_folder)


@pytest.fixture(scope="module")
def tokenizer(tiny: Any) -> Any:
    return tiny.byte_level()


def plain(model: Any, context: list[int], continuation: list[int]) -> tuple[float, bool]:
    """Score one pair without a batch, a cache or a shortcut."""
    with torch.no_grad():
        logprobs = model(torch.tensor([context + continuation])).logits[0].double().log_softmax(dim=-1)
    rows = range(len(context) - 1, len(context) + len(continuation) - 1)
    chosen = [float(logprobs[row, token]) for row, token in zip(rows, continuation, strict=True)]
    greedy = all(int(logprobs[row].argmax()) == token for row, token in zip(rows, continuation, strict=True))
    return sum(chosen), greedy


def answers(engine: HFEngine, requests: list[Request]) -> list[Any]:
    found = dict(engine.run(requests))
    assert sorted(found) == list(range(len(requests)))
    return [found[number] for number in range(len(requests))]


def pairs(tokenizer: Any, context: str, continuation: str) -> tuple[list[int], list[int]]:
    ids = tokenizer(context + continuation)["input_ids"]
    length = len(tokenizer(context)["input_ids"])
    return ids[:length], ids[length:]


def test_scores_equal_a_plain_loop(llama: HFEngine, reference: Any, tokenizer: Any) -> None:
    asked = [Score(context, continuation, "c") for context in CONTEXTS for continuation in CONTINUATIONS]
    asked = asked[::3] + asked[1::3] + asked[2::3]  # lengths in no order
    for request, found in zip(asked, answers(llama, list(asked)), strict=True):
        context, continuation = pairs(tokenizer, request.context, request.continuation)
        logprob, greedy = plain(reference, context, continuation)
        assert isinstance(found, Likelihood)
        assert found.logprob == pytest.approx(logprob, abs=1e-4)
        assert (found.tokens, found.greedy) == (len(continuation), greedy)


def test_gpt2_scores_equal_a_plain_loop(gpt2: HFEngine, tiny: Any, gpt2_folder: Path, tokenizer: Any) -> None:
    # Positions are learned here: padding must not move them.
    reference = tiny.reference(gpt2_folder)
    asked: list[Request] = [Score(context, continuation, "c") for context in CONTEXTS for continuation in CONTINUATIONS]
    for request, found in zip(asked, answers(gpt2, asked), strict=True):
        assert isinstance(request, Score)
        expected, _ = plain(reference, *pairs(tokenizer, request.context, request.continuation))
        assert found.logprob == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("budget", [1, 60, 10_000])
def test_scores_do_not_depend_on_the_batches(llama: HFEngine, monkeypatch: pytest.MonkeyPatch, budget: int) -> None:
    asked: list[Request] = [Score(context, continuation, "c") for context in CONTEXTS for continuation in CONTINUATIONS]
    usual = answers(llama, asked)
    monkeypatch.setattr(llama, "_tokens", Budget("tokens", budget))
    found = answers(llama, asked)
    assert [each.logprob for each in found] == pytest.approx([each.logprob for each in usual], abs=1e-4)
    assert [each.greedy for each in found] == [each.greedy for each in usual]


def test_the_most_likely_continuation_is_greedy(llama: HFEngine, reference: Any, tokenizer: Any) -> None:
    ids = tokenizer("In most offices,")["input_ids"]
    with torch.no_grad():
        best = int(reference(torch.tensor([ids])).logits[0, -1].argmax())
    pairs = [(tuple(ids), (best,), False), (tuple(ids), (best - 1,), False)]
    found = dict(scoring.score(Forward(reference, torch.device("cpu")), pairs, Budget("tokens", 512)))
    one, other = found[0], found[1]
    assert isinstance(one, Likelihood)
    assert isinstance(other, Likelihood)
    assert (one.greedy, other.greedy) == (True, False)
    assert one.logprob > other.logprob


def test_an_empty_context_is_the_start_token(llama: HFEngine, reference: Any, tokenizer: Any) -> None:
    # This model has no start token: its end token stands for "nothing yet".
    ids = tokenizer("women are")["input_ids"]
    (found,) = answers(llama, [Score("", "women are", "c")])
    assert found.logprob == pytest.approx(plain(reference, [tokenizer.eos_token_id], ids)[0], abs=1e-4)
    assert found.tokens == len(ids)


@pytest.fixture(scope="module")
def started(tiny: Any) -> Path:
    """A model whose tokenizer adds a start token to every text."""
    tokenizer = tiny.byte_fallback()
    config = tiny.config(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2)
    folder: Path = tiny.folder(config, tokenizer)
    return folder


def test_a_start_token_that_the_tokenizer_adds_is_not_doubled(tiny: Any, started: Path) -> None:
    tokenizer, reference = tiny.byte_fallback(), tiny.reference(started)
    empty, full, next_ = answers(
        tiny.engine(started), [Score("", "women", "c"), Score("women", " are", "c"), NextToken("women", "c", top=1)]
    )
    women = tokenizer("women", add_special_tokens=False)["input_ids"]
    are = tokenizer("women are", add_special_tokens=False)["input_ids"][len(women) :]
    assert empty.logprob == pytest.approx(plain(reference, [1], women)[0], abs=1e-4)
    assert full.logprob == pytest.approx(plain(reference, [1, *women], are)[0], abs=1e-4)
    with torch.no_grad():
        logits = reference(torch.tensor([[1, *women]])).logits[0, -1]
    assert next_.top[0][1] == pytest.approx(float(logits.log_softmax(0).max()), abs=1e-4)


def test_the_chain_rule_over_a_text(tiny: Any, started: Path) -> None:
    parts: list[Request] = [Score("", "women", "c"), Score("women", " are", "c"), Score("women are", " known", "c")]
    whole, *found = answers(tiny.engine(started), [Score("", "women are known", "c"), *parts])
    assert whole.logprob == pytest.approx(sum(part.logprob for part in found), abs=1e-4)
    assert whole.tokens == sum(part.tokens for part in found)


def test_a_space_at_the_end_of_the_context_belongs_to_the_continuation(llama: HFEngine) -> None:
    # " women" is another token than "women" behind a lone space, which no text holds.
    asked: list[Request] = [Score("In most ", "offices", "c"), Score("In most", " offices", "c")]
    one, other = answers(llama, asked)
    assert one == other


def test_a_context_of_spaces_is_an_empty_one(llama: HFEngine) -> None:
    asked: list[Request] = [Score("  ", "women", "c"), Score("", "  women", "c")]
    one, other = answers(llama, asked)
    assert one == other


def test_nothing_to_score_is_a_failure(llama: HFEngine) -> None:
    asked: list[Request] = [Score("In most", "", "c"), Score("", "", "c"), Score("In most", " offices", "c")]
    empty, both, good = answers(llama, asked)
    assert empty == both == Failure("the continuation is empty")
    assert isinstance(good, Likelihood)


def test_a_continuation_that_melts_into_the_context_is_not_called_empty(llama: HFEngine, tokenizer: Any) -> None:
    # "the" is one token: no token is left for "e" alone. That is a failure, but not an empty continuation.
    assert len(tokenizer("the")["input_ids"]) <= len(tokenizer("th")["input_ids"])
    (found,) = answers(llama, [Score("th", "e", "c")])
    assert found != Failure("the continuation is empty")


def test_a_distribution_sums_to_one_and_has_its_entropy(
    llama: HFEngine, reference: Any, tokenizer: Any, tiny: Any
) -> None:
    prompts = ("In most offices,", "The", "")
    asked: list[Request] = [NextToken(prompt, "c", top=tiny.vocabulary) for prompt in prompts]
    for prompt, found in zip(prompts, answers(llama, asked), strict=True):
        ids = tokenizer(prompt)["input_ids"] or [tokenizer.eos_token_id]
        with torch.no_grad():
            logprobs = reference(torch.tensor([ids])).logits[0, -1].double().log_softmax(0)
        assert isinstance(found, NextTokens)
        values = [value for _, value in found.top]
        assert len(values) == tiny.vocabulary
        assert sum(map(math.exp, values)) == pytest.approx(1, abs=1e-5)
        assert values == sorted(values, reverse=True)
        assert values[0] == pytest.approx(float(logprobs.max()), abs=1e-4)
        assert found.entropy == pytest.approx(float(-(logprobs.exp() * logprobs).sum()), abs=1e-4)
        assert found.top[0][0] == tokenizer.decode([int(logprobs.argmax())])


def test_as_many_tokens_as_asked(llama: HFEngine, tiny: Any) -> None:
    asked: list[Request] = [
        NextToken("The", "c", top=3),
        NextToken("The", "c", top=100_000),
        NextToken("The", "c", top=1),
    ]
    sizes = [len(found.top) for found in answers(llama, asked)]
    assert sizes == [3, tiny.vocabulary, 1]


def test_an_excluded_token_leaves_the_entropy_finite() -> None:
    class Letters:
        def decode(self, ids: Sequence[int], **_: object) -> str:
            return "".join("abc"[token] for token in ids)

    logprobs = torch.tensor([0.0, 0.0, -torch.inf]).log_softmax(0)
    found = scoring._distribution(logprobs, Letters(), scoring.Asked((0,), 2, (), full=False))
    assert found.entropy == pytest.approx(math.log(2))
    assert {token for token, _ in found.top} == {"a", "b"}


def logprobs_after(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(torch.tensor([ids])).logits[0, -1].double().log_softmax(0)
    return found


def test_each_token_is_the_plain_loop_and_sums_to_the_total(llama: HFEngine, reference: Any, tokenizer: Any) -> None:
    pairs_asked = [(context, continuation) for context in CONTEXTS for continuation in CONTINUATIONS]
    every = answers(llama, [Score(*pair, "c", each_token=True) for pair in pairs_asked])
    totals = answers(llama, [Score(*pair, "c") for pair in pairs_asked])
    for pair, found, total in zip(pairs_asked, every, totals, strict=True):
        context, continuation = pairs(tokenizer, *pair)
        expected = [
            float(logprobs_after(reference, context + continuation[:place])[token])
            for place, token in enumerate(continuation)
        ]
        assert found.token_logprobs == pytest.approx(expected, abs=1e-4)
        assert sum(found.token_logprobs) == pytest.approx(found.logprob, abs=1e-9)
        assert len(found.token_logprobs) == found.tokens
        assert total.token_logprobs == ()
        assert (total.logprob, total.tokens, total.greedy) == (found.logprob, found.tokens, found.greedy)


def test_each_token_is_given_to_those_who_ask_for_it(llama: HFEngine) -> None:
    asked: list[Request] = [Score("The", f" men are {n}", "c", each_token=n % 2 == 0) for n in range(6)]
    assert [bool(found.token_logprobs) for found in answers(llama, asked)] == [True, False] * 3


LISTS = (
    (" women", " men"),
    (" women",),
    (" women", " women", " women are"),
    (),
    (" Zwölf Boxkämpfer",),
    ("",),
    (" men", "", " Deich"),
)


def test_the_mass_of_words_is_that_of_their_distinct_first_tokens(
    llama: HFEngine, reference: Any, tokenizer: Any
) -> None:
    prompts = ("In most offices,", "The", "")
    for prompt, found in zip(prompts, answers(llama, [NextToken(p, "c", words=LISTS) for p in prompts]), strict=True):
        probabilities = logprobs_after(reference, tokenizer(prompt)["input_ids"] or [tokenizer.eos_token_id]).exp()
        firsts = [{tokenizer(word)["input_ids"][0] for word in words if word} for words in LISTS]
        expected = [float(sum(probabilities[token] for token in tokens)) for tokens in firsts]
        assert found.mass == pytest.approx(expected, abs=1e-6)
        # What comes twice counts once, and nothing has no probability.
        assert found.mass[1] == found.mass[2]
        assert (found.mass[3], found.mass[5]) == (0, 0)
        assert all(0 <= mass <= 1 for mass in found.mass)


def test_a_start_token_is_not_the_first_token_of_a_word(tiny: Any, started: Path) -> None:
    tokenizer = tiny.byte_fallback()
    (found,) = answers(tiny.engine(started), [NextToken("women", "c", words=((" are",),))])
    logprobs = logprobs_after(tiny.reference(started), tokenizer("women")["input_ids"])
    first = tokenizer(" are", add_special_tokens=False)["input_ids"][0]
    assert first != tokenizer.bos_token_id
    assert found.mass == pytest.approx((float(logprobs[first].exp()),), abs=1e-6)


def test_without_words_there_is_no_mass_and_without_full_no_row(llama: HFEngine) -> None:
    (found,) = answers(llama, [NextToken("The", "c")])
    assert (found.mass, found.logprobs) == ((), ())


def test_the_full_distribution(llama: HFEngine, reference: Any, tokenizer: Any, tiny: Any) -> None:
    asked: list[Request] = [NextToken("The", "c", top=2, full=True), NextToken("The", "c", top=2)]
    full, short = answers(llama, asked)
    assert len(full.logprobs) == tiny.vocabulary
    assert sum(map(math.exp, full.logprobs)) == pytest.approx(1, abs=1e-5)
    assert full.logprobs == pytest.approx(logprobs_after(reference, tokenizer("The")["input_ids"]).tolist(), abs=1e-4)
    assert (short.logprobs, short.top, short.entropy) == ((), full.top, full.entropy)
    assert full.top[0][1] == max(full.logprobs)
