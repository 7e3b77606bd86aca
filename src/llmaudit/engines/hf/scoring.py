"""Likelihoods and next-token distributions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from llmaudit.engines.hf.encoding import Ids, continuation_text
from llmaudit.engines.hf.forward import Forward, NoMemory
from llmaudit.engines.hf.memory import NO_MEMORY, Budget
from llmaudit.types import Failure, Likelihood, NextTokens

__all__ = ["Asked", "next_tokens", "score"]

#: Rows of logits that are normalised at a time. Eight of 49,000 numbers stay in a processor's second-level cache; on an
#: accelerator more of them keep it busy, and all at once would need as much memory again as the logits.
_ROWS = {"cpu": 8}
_ROWS_ELSEWHERE = 256


def score(
    forward: Forward, pairs: Sequence[tuple[Ids, Ids, bool]], budget: Budget
) -> Iterator[tuple[int, Likelihood | Failure]]:
    """Score continuations: yields (index, likelihood).

    pairs: (context ids, continuation ids, whether each token's log-probability is wanted), no ids empty. The
    log-probabilities are taken in float32 and summed in float64, whatever the model's data type.
    """
    # The last token is predicted, never looked from.
    sequences = {index: (context + continuation)[:-1] for index, (context, continuation, _) in enumerate(pairs)}
    starts = {index: len(context) - 1 for index, (context, _, _) in enumerate(pairs)}
    for reading in forward.read(sequences, starts, budget):
        if isinstance(reading, NoMemory):
            yield from ((index, NO_MEMORY) for index in reading.sequences)
            continue
        totals, best = _totals(reading.logits)
        rows = [row for found in reading.rows.values() for row in found]
        targets = [token for index in reading.rows for token in pairs[index][1]]
        chosen = reading.logits[rows, targets]
        # As Python's floats, which are added in float64 on every device.
        logprobs = (chosen - totals[rows]).tolist()
        greedy = (chosen >= best[rows]).tolist()
        place = 0
        for index in reading.rows:
            _, continuation, each = pairs[index]
            end = place + len(continuation)
            tokens = tuple(logprobs[place:end])
            yield index, Likelihood(sum(tokens), len(tokens), all(greedy[place:end]), tokens if each else ())
            place = end


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, and what is to be told of the token after it."""

    prompt: Ids
    top: int
    words: Sequence[set[int]]
    """The first tokens of each list of words."""
    full: bool
    bias: tuple[tuple[int, float], ...] = ()


def next_tokens(
    forward: Forward, tokenizer: Any, prompts: Sequence[Asked], budget: Budget
) -> Iterator[tuple[int, NextTokens | Failure]]:
    """Give the distribution after each prompt: yields (index, distribution)."""
    sequences = {index: asked.prompt for index, asked in enumerate(prompts)}
    starts = {index: len(ids) - 1 for index, ids in sequences.items()}
    for reading in forward.read(sequences, starts, budget):
        if isinstance(reading, NoMemory):
            yield from ((index, NO_MEMORY) for index in reading.sequences)
            continue
        for index, (row,) in reading.rows.items():
            logits = _with(prompts[index].bias, reading.logits[row])
            yield index, _distribution(logits.log_softmax(0), tokenizer, prompts[index])


def _with(bias: tuple[tuple[int, float], ...], logits: torch.Tensor) -> torch.Tensor:
    if not bias:
        return logits
    tokens = torch.tensor([token for token, _ in bias], device=logits.device)
    values = torch.tensor([nats for _, nats in bias], dtype=logits.dtype, device=logits.device)
    return logits.index_put((tokens,), values, accumulate=True)


def _distribution(logprobs: torch.Tensor, tokenizer: Any, asked: Asked) -> NextTokens:
    best = logprobs.topk(min(asked.top, logprobs.shape[0]))
    texts = [continuation_text(tokenizer, asked.prompt, [token], special=True) for token in best.indices.tolist()]
    entropy = float(-(logprobs.exp() * logprobs.clamp_min(-1e4)).sum())
    mass = tuple(math.fsum(logprobs[sorted(tokens)].exp().tolist()) for tokens in asked.words)
    row = tuple(logprobs.tolist()) if asked.full else ()
    return NextTokens(tuple(zip(texts, best.values.tolist(), strict=True)), entropy, mass, row)


def _totals(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logsumexp and maximum of each row."""
    size = _ROWS.get(logits.device.type, _ROWS_ELSEWHERE)
    blocks = [logits[start : start + size] for start in range(0, len(logits), size)]
    return torch.cat([block.logsumexp(1) for block in blocks]), torch.cat([block.amax(1) for block in blocks])
