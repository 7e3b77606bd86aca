"""Likelihoods and next-token distributions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from llmaudit.engines.hf.forward import Forward, NoMemory
from llmaudit.engines.hf.memory import NO_MEMORY, Budget
from llmaudit.types import Failure, Likelihood, NextToken, NextTokens

__all__ = ["next_tokens", "score"]

Ids = tuple[int, ...]

#: Rows of logits that are normalised at a time: eight of 49,000 numbers stay in a core's second-level cache.
_ROWS = 8


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
        logprobs = (chosen - totals[rows]).double().tolist()
        greedy = (chosen >= best[rows]).tolist()
        place = 0
        for index in reading.rows:
            _, continuation, each = pairs[index]
            end = place + len(continuation)
            tokens = tuple(logprobs[place:end])
            yield index, Likelihood(sum(tokens), len(tokens), all(greedy[place:end]), tokens if each else ())
            place = end


def next_tokens(
    forward: Forward, tokenizer: Any, prompts: Sequence[tuple[Ids, NextToken]], budget: Budget
) -> Iterator[tuple[int, NextTokens | Failure]]:
    """Give the distribution after each prompt: yields (index, distribution).

    prompts: (prompt ids, what is asked).
    """
    sequences = {index: ids for index, (ids, _) in enumerate(prompts)}
    starts = {index: len(ids) - 1 for index, ids in sequences.items()}
    for reading in forward.read(sequences, starts, budget):
        if isinstance(reading, NoMemory):
            yield from ((index, NO_MEMORY) for index in reading.sequences)
            continue
        for index, (row,) in reading.rows.items():
            yield index, _distribution(reading.logits[row].log_softmax(0), tokenizer, prompts[index][1])


def _distribution(logprobs: torch.Tensor, tokenizer: Any, asked: NextToken) -> NextTokens:
    best = logprobs.topk(min(asked.top, logprobs.shape[0]))
    words = [tokenizer.decode([token]) for token in best.indices.tolist()]
    entropy = float(-(logprobs.exp() * logprobs.clamp_min(-1e4)).sum())
    mass = tuple(float(logprobs[sorted(_first_tokens(tokenizer, words))].exp().double().sum()) for words in asked.words)
    row = tuple(logprobs.tolist()) if asked.full else ()
    return NextTokens(tuple(zip(words, best.values.tolist(), strict=True)), entropy, mass, row)


def _first_tokens(tokenizer: Any, words: Sequence[str]) -> set[int]:
    ids = (tokenizer(word, add_special_tokens=False, verbose=False)["input_ids"] for word in words)
    return {tokens[0] for tokens in ids if tokens}


def _totals(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logsumexp and maximum of each row."""
    size = _ROWS if logits.device.type == "cpu" else len(logits)
    blocks = [logits[start : start + size] for start in range(0, len(logits), size)]
    return torch.cat([block.logsumexp(1) for block in blocks]), torch.cat([block.amax(1) for block in blocks])
