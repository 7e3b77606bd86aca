"""What a model of transformers tells of its build, counted on the loaded weights and not taken from its name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

import jinja2
import torch

from llmaudit.engines.anatomy import PARTS, Anatomy, Part, SpecialToken, TextReading
from llmaudit.engines.hf.cache import cache_bytes
from llmaudit.engines.hf.checkpoint import is_scale
from llmaudit.engines.hf.footprint import allocated_tensors
from llmaudit.engines.hf.memory import attempt
from llmaudit.engines.launches import Shape

__all__ = ["cache_bytes_per_token", "dissect", "head_size", "kv_heads", "read_text", "shape_of"]

#: Tokens that a cache is measured over: enough that nothing but them counts, and inside most sliding windows.
_CACHED = 256
#: Pieces of module names, searched from the innermost module outward: attention inside an expert layer is attention.
_NAMES: Mapping[Part, tuple[str, ...]] = {
    "attention": ("attn", "attention"),
    "mlp": ("mlp", "feed_forward", "ffn", "expert", "moe", "fc1", "fc2"),
}
_ALIBI = {"bloom", "mpt"}


def dissect(model: Any, tokenizer: Any, context: int | None) -> Anatomy:
    """Describe a causal model; `context` is how many tokens it reads at most, None for no limit."""
    config = model.config.get_text_config()
    return Anatomy(
        layers=_number(config, "num_hidden_layers"),
        heads=_number(config, "num_attention_heads"),
        kv_heads=kv_heads(config),
        head_size=head_size(config),
        hidden_size=_number(config, "hidden_size"),
        vocabulary_size=int(model.get_input_embeddings().weight.shape[0]),
        context_length=context,
        tied_weights=_is_tied(model),
        parts=_parts(model),
        trainable=sum(_size(parameter) for parameter in model.parameters() if parameter.requires_grad),
        allocated_bytes=_allocated_bytes(model),
        cache_element_bytes=model.dtype.itemsize,
        card=_card(model, config),
        special_tokens=_special_tokens(tokenizer),
    )


def shape_of(model: Any) -> Shape | None:
    """Return the sizes of a causal model; None where its configuration lacks one."""
    config = model.config.get_text_config()
    layers, heads = _number(config, "num_hidden_layers"), _number(config, "num_attention_heads")
    shared, size = kv_heads(config), head_size(config)
    if layers is None or heads is None or shared is None or size is None:
        return None
    return Shape(layers, heads, shared, size, model.dtype.itemsize)


@torch.inference_mode()
def cache_bytes_per_token(model: Any, device: torch.device, context: int | None) -> float | None:
    """Return the bytes per token of the storages behind a cache that transformers itself has filled.

    None where there is no such cache, or no memory for it; `context` is how many tokens the model reads at most.
    """
    tokens = min(_CACHED, context or _CACHED)
    inputs = torch.zeros((1, tokens), dtype=torch.int64, device=device)
    size = cache_bytes(attempt(partial(_filled_cache, model, inputs)))
    return size / tokens if size else None


def _filled_cache(model: Any, inputs: torch.Tensor) -> Any:
    """Read all tokens but one, then that one: only then does a layer with a window let go of what it no longer sees."""
    cache = model(inputs[:, :-1], use_cache=True, logits_to_keep=1).past_key_values if inputs.shape[1] > 1 else None
    return model(inputs[:, -1:], past_key_values=cache, use_cache=True, logits_to_keep=1).past_key_values


def read_text(tokenizer: Any, text: str) -> TextReading:
    """Say what tokenizer and chat template make of a text."""
    alone = _starts(tokenizer, _ids(tokenizer, text, special=True))
    if not tokenizer.chat_template:
        return TextReading(alone)
    turns = [{"role": "user", "content": text}]
    try:
        rendered = str(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))
    except jinja2.TemplateError:
        return TextReading(alone, 0, 0, chat_lossless=False)
    ids = _ids(tokenizer, rendered, special=False)
    decoded = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    again = _starts(tokenizer, _ids(tokenizer, rendered, special=True))
    return TextReading(alone, _starts(tokenizer, ids), again, chat_lossless=text in rendered and decoded == rendered)


def _ids(tokenizer: Any, text: str, *, special: bool) -> list[int]:
    return list(tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])


def _starts(tokenizer: Any, ids: list[int]) -> int:
    """Number of start tokens that the ids begin with."""
    start = tokenizer.bos_token_id
    return next((place for place, token in enumerate(ids) if token != start), len(ids))


def _special_tokens(tokenizer: Any) -> tuple[SpecialToken, ...]:
    roles: dict[str, list[str]] = {}
    for role, token in tokenizer.special_tokens_map.items():
        for each in token if isinstance(token, list) else [token]:
            roles.setdefault(str(each), []).append(role)
    added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    texts = dict.fromkeys([*roles, *added])
    return tuple(
        SpecialToken(
            tuple(roles.get(text, ())),
            text,
            int(tokenizer.convert_tokens_to_ids(text)),
            tuple(_ids(tokenizer, text, special=False)),
        )
        for text in texts
    )


def _number(config: Any, *names: str) -> int | None:
    values = (getattr(config, name, None) for name in names)
    return next((int(value) for value in values if isinstance(value, int) and not isinstance(value, bool)), None)


def kv_heads(config: Any) -> int | None:
    """Heads of keys and values in a layer; None where the configuration does not tell."""
    # Falcon and GPTBigCode say with a flag that all heads share one.
    if getattr(config, "multi_query", False) and not getattr(config, "new_decoder_architecture", False):
        return 1
    return _number(config, "num_key_value_heads", "num_kv_heads", "num_attention_heads")


def head_size(config: Any) -> int | None:
    """Numbers in a key; None where the configuration does not tell."""
    hidden, heads = _number(config, "hidden_size"), _number(config, "num_attention_heads")
    return _number(config, "head_dim") or (hidden // heads if hidden and heads else None)


def _is_tied(model: Any) -> bool:
    head = model.get_output_embeddings()
    return head is not None and head.weight is model.get_input_embeddings().weight


def _parts(model: Any) -> dict[Part, int]:
    """Parameters by part; torch names a shared one once, by the first module that holds it."""
    head = model.get_output_embeddings()
    counts: Counter[Part] = Counter()
    for name, parameter in model.named_parameters():
        path, _, leaf = name.rpartition(".")
        owner = model.get_submodule(path)
        if is_scale(owner, leaf):
            continue
        counts["head" if owner is head and not _is_tied(model) else _part(owner, path)] += _size(parameter)
    return {part: counts[part] for part in PARTS}


def _part(owner: torch.nn.Module, path: str) -> Part:
    if isinstance(owner, torch.nn.Embedding):
        return "embedding"
    if "norm" in type(owner).__name__.lower():
        return "norm"
    for segment in reversed(path.lower().split(".")):
        for part, names in _NAMES.items():
            if any(piece in segment for piece in names):
                return part
    return "other"


def _size(parameter: Any) -> int:
    # Packed in four bits, the tensor is half as long as what it stands for.
    state = getattr(parameter, "quant_state", None)
    return math.prod(state.shape) if state is not None else int(parameter.numel())


def _allocated_bytes(model: Any) -> int:
    """Sum the storages of weights and of what quantizers keep beside them: the library's own figure is wrong."""
    return sum(tensor.untyped_storage().nbytes() for tensor in allocated_tensors(model))


def _card(model: Any, config: Any) -> dict[str, str]:
    norms = dict.fromkeys(type(module).__name__ for module in model.modules() if "Norm" in type(module).__name__)
    activation = getattr(config, "hidden_act", None) or getattr(config, "activation_function", None)
    found = {
        "architecture": type(model).__name__,
        "model type": str(model.config.model_type),
        "attention": _attention_type(config),
        "attention window": _window(config),
        "positions": _positions(model, config),
        "activation": str(activation or getattr(config, "hidden_activation", None) or "not told"),
        "normalisation": ", ".join(norms) or "none found",
        "experts": _experts(config),
    }
    return {name: value for name, value in found.items() if value}


def _attention_type(config: Any) -> str:
    heads, shared = _number(config, "num_attention_heads"), kv_heads(config)
    if heads is None or shared is None:
        return "not told"
    if shared == heads:
        return f"multi-head: {heads} heads with keys and values of their own"
    return f"multi-query: {heads} heads share one" if shared == 1 else f"grouped-query: {heads} heads share {shared}"


def _window(config: Any) -> str:
    window = _number(config, "sliding_window")
    kinds = getattr(config, "layer_types", None) or []
    sliding = sum(kind == "sliding_attention" for kind in kinds)
    if window is None or not getattr(config, "use_sliding_window", True) or (kinds and not sliding):
        return "the whole text"
    return f"{window} tokens in {sliding} of {len(kinds)} layers" if kinds else f"{window} tokens"


def _positions(model: Any, config: Any) -> str:
    # First: Falcon has both settings, and these win.
    if getattr(config, "alibi", False) or model.config.model_type in _ALIBI:
        return "linear biases (ALiBi)"
    rope = getattr(config, "rope_parameters", None) or {}
    if rope or getattr(config, "rope_theta", None):
        kind = rope.get("rope_type", "default")
        return "rotary" if kind == "default" else f"rotary ({kind})"
    embeddings = [module for module in model.modules() if isinstance(module, torch.nn.Embedding)]
    return "learned embeddings" if len(embeddings) > 1 else "not told"


def _experts(config: Any) -> str:
    experts = _number(config, "num_local_experts", "num_experts", "n_routed_experts")
    chosen = _number(config, "num_experts_per_tok", "moe_topk")
    return f"{experts}, of which a token uses {chosen or 'an unknown number'}" if experts else ""
