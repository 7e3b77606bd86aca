"""What a model makes of a text inside: embeddings, attention, and the logits of every position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from llmaudit.engines.hf.cache import new_cache
from llmaudit.engines.hf.encoding import Ids
from llmaudit.engines.hf.memory import NO_MEMORY, Budget, attempt, in_batches
from llmaudit.engines.hf.packing import Batch, padded_batches
from llmaudit.types import Attend, Attention, Embed, Embedding, Failure

__all__ = ["attend", "embed", "stream_logits"]

#: Attention weights of one answer: as Python numbers and in the store they take some thirty bytes each.
_WEIGHTS = 4_000_000


@torch.inference_mode()
def embed(
    model: Any, texts: Sequence[tuple[Ids, tuple[int, int], Embed]], device: torch.device, budget: Budget
) -> Iterator[tuple[int, Embedding | Failure]]:
    """Embed texts: yields (index, embedding), float32.

    texts: (ids, (start, end) of the text's own tokens, what is asked).
    """

    def read(batch: Batch) -> Any:
        inputs = {name: value.to(device) for name, value in batch.inputs.items()}
        return model(**inputs, use_cache=False, output_hidden_states=True, logits_to_keep=1).hidden_states

    sequences = {index: ids for index, (ids, _, _) in enumerate(texts)}
    for batch, states in in_batches(sequences, budget, padded_batches, read):
        for index, (row, _) in batch.places.items():
            _, own, request = texts[index]
            yield index, NO_MEMORY if states is None else _embedding(states, row, own, request)


def _embedding(states: Sequence[torch.Tensor], row: int, own: tuple[int, int], request: Embed) -> Embedding | Failure:
    if not -len(states) <= request.layer < len(states):
        return Failure(f"layer {request.layer}: the model has layers 0 (embeddings) to {len(states) - 1}")
    start, end = own
    if start == end:
        return Failure("the text is empty")
    tokens = states[request.layer][row, start:end].float()
    vector = tokens.mean(0) if request.pooling == "mean" else tokens[-1]
    return Embedding(tuple(vector.tolist()), end - start)


@torch.inference_mode()
def attend(
    model: Any, tokenizer: Any, texts: Sequence[tuple[Ids, Attend]], device: torch.device
) -> Iterator[tuple[int, Attention | Failure]]:
    """Give attention weights, one text at a time: yields (index, attention)."""
    with _eager(model):
        for index, (ids, request) in enumerate(texts):
            inputs = torch.tensor([ids], device=device)
            if _weights_asked(model.config, request, len(ids)) > _WEIGHTS:
                yield index, Failure(f"{len(ids)} tokens have too many attention weights; name fewer `layers`")
                continue
            found = attempt(partial(_attention, model, inputs))
            if found is None:
                yield index, NO_MEMORY
                continue
            layers = request.layers or tuple(range(len(found)))
            if not found or any(not 0 <= layer < len(found) for layer in layers):
                yield index, Failure(f"layers {layers}: the model tells the attention of {len(found)} layers")
                continue
            weights = tuple(_nested(found[layer][0].float().tolist()) for layer in layers)
            pieces = tuple(str(piece) for piece in tokenizer.convert_ids_to_tokens(list(ids)))
            yield index, Attention(pieces, layers, weights)


@torch.inference_mode()
def stream_logits(
    model: Any, sequences: Mapping[int, Ids], device: torch.device, tokens: int
) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Read sequences a few tokens at a time: yields (sequence, first position, logits).

    logits: float32, shape (at most `tokens`, vocabulary), on the model's device; logits[i] are of the token after
    position first + i. What is kept from one piece to the next are keys and values, some kilobytes a token, where the
    logits of 49,000 tokens would be 197.
    """
    for index, ids in sequences.items():
        cache = new_cache()
        for first in range(0, len(ids), tokens):
            piece = torch.tensor([ids[first : first + tokens]], device=device)
            positions = torch.arange(first, first + piece.shape[1], device=device)[None]
            out = model(piece, position_ids=positions, past_key_values=cache, use_cache=True)
            yield index, first, out.logits[0].float()


@contextmanager
def _eager(model: Any) -> Iterator[None]:
    """Use the one attention implementation that tells its weights."""
    usual = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(usual)


def _weights_asked(config: Any, request: Attend, tokens: int) -> int:
    text = config.get_text_config()
    return (len(request.layers) or int(text.num_hidden_layers)) * int(text.num_attention_heads) * tokens**2


def _attention(model: Any, inputs: torch.Tensor) -> Sequence[torch.Tensor]:
    return model(inputs, use_cache=False, output_attentions=True).attentions or ()


def _nested(value: Any) -> Any:
    return tuple(_nested(item) for item in value) if isinstance(value, list) else value
