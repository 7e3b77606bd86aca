"""Likelihoods and next-token distributions, in batches sorted by length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from llmaudit.types import Likelihood, NextTokens

__all__ = ["next_tokens", "score"]

#: Tokens per batch, padding included: larger batches of full-vocabulary logits are slower, not faster.
_BATCH_TOKENS = 512


def score(
    model: Any, pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]], device: torch.device
) -> Iterator[tuple[int, Likelihood]]:
    """Score continuations: yields (index, likelihood).

    pairs: (context ids, continuation ids), neither empty. The log-probabilities are taken in float32 whatever the
    model's data type.
    """
    lengths = [len(context) + len(continuation) for context, continuation in pairs]
    for batch in _batches(lengths):
        rows = [pairs[index][0] + pairs[index][1] for index in batch]
        ids, mask = _pad_right(rows, device)
        first = min(len(pairs[index][0]) for index in batch) - 1
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=ids.shape[1] - first).logits
        for row, index in enumerate(batch):
            context, continuation = pairs[index]
            start = len(context) - 1 - first
            needed = logits[row, start : start + len(continuation)].float()
            targets = torch.tensor(continuation, device=device)
            chosen = needed.gather(1, targets[:, None])[:, 0] - needed.logsumexp(dim=1)
            greedy = bool((needed.argmax(dim=1) == targets).all())
            yield index, Likelihood(float(chosen.double().sum()), len(continuation), greedy)


def next_tokens(
    model: Any, tokenizer: Any, prompts: Sequence[tuple[tuple[int, ...], int]], device: torch.device
) -> Iterator[tuple[int, NextTokens]]:
    """Give the distribution after each prompt: yields (index, distribution).

    prompts: (prompt ids, how many of the most likely tokens to return).
    """
    for batch in _batches([len(ids) for ids, _ in prompts]):
        rows = [prompts[index][0] for index in batch]
        ids, mask = _pad_right(rows, device)
        first = min(map(len, rows)) - 1
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=ids.shape[1] - first).logits
        for row, index in enumerate(batch):
            logprobs = torch.log_softmax(logits[row, len(rows[row]) - 1 - first].float(), dim=0)
            best = logprobs.topk(min(prompts[index][1], logprobs.shape[0]))
            entropy = float(-(logprobs.exp() * logprobs.clamp_min(-1e4)).sum())
            words = [tokenizer.decode([token]) for token in best.indices.tolist()]
            yield index, NextTokens(tuple(zip(words, best.values.tolist(), strict=True)), entropy)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Group indices by falling length under the token budget: the batch that needs most memory comes first."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if batch and lengths[batch[0]] * (len(batch) + 1) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _pad_right(rows: Sequence[tuple[int, ...]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Padding behind the text changes nothing for a causal model, and keeps positions counting from zero."""
    length = max(map(len, rows))
    ids = torch.zeros(len(rows), length, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    return ids.to(device), mask.to(device)
