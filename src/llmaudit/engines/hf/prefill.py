"""Prompts read once, however many completions start from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from llmaudit.engines.hf.cache import KVRows, new_cache
from llmaudit.engines.hf.encoding import Ids

__all__ = ["Prefilled", "prefill", "prompt_groups"]

#: How many prompt tokens one prefill takes at most, padding included: bounds the memory of its activations.
_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Prefilled:
    """Distinct prompts that the model has read."""

    prompts: tuple[Ids, ...]
    kv: KVRows
    logits: torch.Tensor
    """(prompts, vocabulary): of the token after each prompt."""

    def rows(self, prompts: Sequence[Ids]) -> tuple[KVRows, torch.Tensor]:
        """Return keys, values and logits, one row for each of these prompts; they may repeat."""
        place = {prompt: number for number, prompt in enumerate(self.prompts)}
        order = [place[prompt] for prompt in prompts]
        return self.kv.select(order), self.logits[order]

    def only(self, prompt: Ids) -> Prefilled:
        """Return this one prompt alone."""
        kv, logits = self.rows([prompt])
        return Prefilled((prompt,), kv, logits)


@torch.inference_mode()
def prefill(model: Any, prompts: Sequence[Ids], device: torch.device) -> Prefilled:
    """Read distinct prompts, padded on the left."""
    length = max(map(len, prompts))
    ids = torch.zeros(len(prompts), length, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for number, prompt in enumerate(prompts):
        ids[number, length - len(prompt) :] = torch.tensor(prompt)
        mask[number, length - len(prompt) :] = 1
    ids, mask = ids.to(device), mask.to(device)
    out = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(dim=1) - 1).clamp_(min=0),
        past_key_values=new_cache(),
        use_cache=True,
        logits_to_keep=1,
    )
    return Prefilled(tuple(prompts), KVRows(out.past_key_values, mask), out.logits[:, -1])


def prompt_groups(prompts: Sequence[Ids]) -> Iterator[list[Ids]]:
    """Cut prompts, sorted by length, into groups whose distinct prompts fit one prefill."""
    group: list[Ids] = []
    distinct: set[Ids] = set()
    for prompt in prompts:
        longest = max([len(prompt), *map(len, distinct)])
        if group and prompt not in distinct and longest * (len(distinct) + 1) > _TOKENS:
            yield group
            group, distinct = [], set()
        group.append(prompt)
        distinct.add(prompt)
    if group:
        yield group
