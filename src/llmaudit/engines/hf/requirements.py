"""What a model needs of the memory, counted before any of its weights is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.anatomy import head_size, kv_heads
from llmaudit.engines.hf.files import check_folder, converted
from llmaudit.engines.hf.footprint import is_matrix, weights_of
from llmaudit.engines.hf.loading import context_length, pick_device, pick_dtypes
from llmaudit.engines.hf.memory import free_memory
from llmaudit.engines.hf.quiet import quiet
from llmaudit.engines.models import Source, resolve

__all__ = ["Need", "Requirements", "requirements"]

#: What bitsandbytes stores beside its weights: a float per row of int8, and one per block of 64 of four bits.
_SCALE, _BLOCK = 4, 64


@dataclass(frozen=True, slots=True)
class Need:
    """What one form of a model needs, in bytes."""

    form: str
    """float32, 16 bits, int8 or 4 bits."""
    weights: int
    cache: int | None
    """Keys and values of one text as long as the context; None where the configuration does not tell."""

    @property
    def total(self) -> int:
        """Both together; a batch of many texts, and what a layer computes on the way, come on top."""
        return self.weights + (self.cache or 0)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a model needs, beside what there is."""

    needs: tuple[Need, ...]
    asked: Need
    """The one that the options ask for, with the second copy that sampling takes on some processors."""
    free: int
    """Bytes that are free on the device."""
    device: str
    context: int | None
    """Tokens of the longest text that the model reads."""


def requirements(options: EngineOptions) -> Requirements | str:
    """Count what a local model needs at each data type, or say why that cannot be known before it is loaded.

    The model is built without memory for its weights (torch's device `meta`), from its configuration alone. Raises
    ModelError for a name or a device that does not exist.
    """
    source = resolve(options.model, options.aliases)
    device = pick_device(options.device)
    if source.kind == "endpoint":
        return "the model runs elsewhere"
    place = _place(source, options.revision)
    if place is None:
        return "the model is not on this machine yet; loading it fetches it"
    try:
        with quiet():
            config = AutoConfig.from_pretrained(**place, trust_remote_code=False, local_files_only=True)
            if source.kind == "folder" and hasattr(config, "quantization_config"):
                return "the weights are stored quantized"
            model = _without_memory(config)
            dtype, drawn = pick_dtypes(options, device, config)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, NotImplementedError, AttributeError) as error:
        return f"the configuration does not tell ({type(error).__name__})"
    text = config.get_text_config()
    copies = dtype.itemsize + (drawn.itemsize if drawn != dtype else 0)
    return Requirements(
        needs=tuple(_needs(model, text, dtype)),
        asked=_plain(_name(dtype), model, text, copies, dtype.itemsize),
        free=free_memory(device),
        device=str(device),
        context=context_length(text),
    )


def _place(source: Source, revision: str | None) -> dict[str, Any] | None:
    """Where transformers finds the configuration of a model; None for one that the hub's cache lacks."""
    if source.kind == "gguf":
        file = Path(source.location)
        if (folder := converted(file)) is not None:
            return {"pretrained_model_name_or_path": str(folder)}
        return {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    if source.kind == "folder":
        check_folder(Path(source.location))
        return {"pretrained_model_name_or_path": source.location}
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - a second that local models do not need

    found = try_to_load_from_cache(source.location, "config.json", revision=revision)
    return {"pretrained_model_name_or_path": str(Path(found).parent)} if isinstance(found, str) else None


def _without_memory(config: Any) -> Any:
    causal: Any = AutoModelForCausalLM
    with torch.device("meta"):
        model = causal.from_config(config, trust_remote_code=False)
    model.tie_weights()
    return model


def _needs(model: Any, text: Any, other: torch.dtype) -> list[Need]:
    """What the four forms need; in the quantized ones, everything but the matrices stays in the data type `other`."""
    head = model.get_output_embeddings()
    matrices = [module for module in model.modules() if is_matrix(module) and module is not head]
    packed = sum(weights_of(module) for module in matrices)
    rows = sum(weights_of(module) // _inputs(module) for module in matrices)
    rest = (model.num_parameters() - packed) * other.itemsize
    cache = _cache(text, other.itemsize)
    return [
        _plain("float32", model, text, 4, 4),
        _plain("16 bits", model, text, 2, 2),
        Need("int8", packed + rows * _SCALE + rest, cache),
        Need("4 bits", packed // 2 + packed // _BLOCK * _SCALE + rest, cache),
    ]


def _plain(form: str, model: Any, text: Any, each: int, cached: int) -> Need:
    return Need(form, model.num_parameters() * each, _cache(text, cached))


def _cache(text: Any, size: int) -> int | None:
    parts = [getattr(text, "num_hidden_layers", None), kv_heads(text), head_size(text), context_length(text)]
    if not all(parts):
        return None
    layers, heads, width, context = (int(part) for part in parts if part)
    return 2 * layers * heads * width * context * size


def _inputs(module: Any) -> int:
    width = getattr(module, "in_features", None)
    return int(width) if isinstance(width, int) else int(module.weight.shape[0])


def _name(dtype: torch.dtype) -> str:
    return "float32" if dtype == torch.float32 else "16 bits"
