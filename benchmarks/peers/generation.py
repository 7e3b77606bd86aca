"""Sampling with transformers alone: the notebook loop, the loop without a cache, the padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.models import Peer

__all__ = ["batched", "check_length", "one_by_one", "without_cache"]


def one_by_one(peer: Peer, prompts: Sequence[str], *, tokens: int, temperature: float) -> int:
    """Call `generate` once per completion; returns the number of completions."""
    for prompt in prompts:
        inputs = peer.tokenizer(prompt, return_tensors="pt").to(peer.model.device)
        out = peer.model.generate(
            **inputs, do_sample=True, temperature=temperature, top_k=0, top_p=1.0, max_new_tokens=tokens
        )
        new = out[0, inputs["input_ids"].shape[1] :]
        check_length(len(new), tokens)
        peer.tokenizer.decode(new, skip_special_tokens=True)
    return len(prompts)


@torch.no_grad()
def without_cache(peer: Peer, prompts: Sequence[str], *, tokens: int, temperature: float) -> int:
    """Compute the whole prefix anew for every token; returns the number of completions."""
    for prompt in prompts:
        ids = peer.tokenizer(prompt, return_tensors="pt").input_ids.to(peer.model.device)
        for _ in range(tokens):
            logits = peer.model(ids, use_cache=False).logits[:, -1]
            chances = torch.softmax(logits.float() / temperature, dim=-1)
            ids = torch.cat([ids, torch.multinomial(chances, 1)], dim=1)
        peer.tokenizer.decode(ids[0], skip_special_tokens=True)
    return len(prompts)


def batched(peer: Peer, prompts: Sequence[str], *, rows: int, tokens: int, temperature: float, **options: Any) -> int:
    """Call `generate` once per `rows` prompts, padded on the left; returns the number of completions."""
    # By length, so that a batch has little padding: what a careful user of transformers does.
    ordered = sorted(prompts, key=len)
    for start in range(0, len(ordered), rows):
        inputs = peer.tokenizer(ordered[start : start + rows], padding=True, return_tensors="pt").to(peer.model.device)
        out = peer.model.generate(
            **inputs, do_sample=True, temperature=temperature, top_k=0, top_p=1.0, max_new_tokens=tokens, **options
        )
        new = out[:, inputs["input_ids"].shape[1] :]
        check_length(new.shape[1], tokens)
        peer.tokenizer.batch_decode(new, skip_special_tokens=True)
    return len(prompts)


def check_length(drawn: int, asked: int) -> None:
    """Raise where a completion is not as long as everybody's: then its time says nothing."""
    if drawn != asked:
        raise RuntimeError(f"a completion has {drawn} tokens, and {asked} were asked for")
