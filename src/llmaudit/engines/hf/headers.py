"""The size of a model, read off its configuration and the headers of its weights: no weight is loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.files import local_folder
from llmaudit.engines.models import resolve
from llmaudit.errors import ModelError

__all__ = ["Headers", "form_of", "read_headers"]

#: Matrices that quantizers leave as they are.
_WHOLE = ("embed", "wte", "wpe", "lm_head")
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True, slots=True)
class Headers:
    """What a model's files say of its size."""

    matrix_weights: int
    """Weights of linear layers, which a quantizer may shorten."""
    other_weights: int
    layers: int
    kv_heads: int
    head_size: int
    stored_dtype: str | None
    """The data type of the configuration, such as bfloat16."""

    def cache_values_per_token(self) -> int:
        """Numbers that the key-value cache keeps of a token: a key and a value per head and layer."""
        return 2 * self.layers * self.kv_heads * self.head_size


def read_headers(options: EngineOptions) -> Headers:
    """Read what the files of a model say. Raises ModelError where they are not here or do not say it."""
    source = resolve(options.model, options.aliases)
    if source.kind == "endpoint":
        raise ModelError(f"{options.model}: a server does not say how much memory it takes")
    folder = local_folder(source, options.revision, weights=False)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = {**config, **config.get("text_config", {})}
        heads = int(_first(config, "num_attention_heads", "n_head"))
        matrices, others = _weights(folder)
        return Headers(
            matrix_weights=matrices,
            other_weights=others,
            layers=int(_first(config, "num_hidden_layers", "n_layer")),
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_size=int(config.get("head_dim") or int(_first(config, "hidden_size", "n_embd")) // heads),
            stored_dtype=config.get("dtype") or config.get("torch_dtype"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder}: its files do not tell its size ({error})") from None


def form_of(options: EngineOptions, headers: Headers) -> tuple[str, int]:
    """Return the data type that a model would be loaded in, and how many sequences would be decoded side by side.

    Raises ModelError for a device that this machine has not.
    """
    from llmaudit.engines.hf.engine import default_rows  # noqa: PLC0415 - imports torch, which headers do not need
    from llmaudit.engines.hf.loading import pick_device  # noqa: PLC0415 - likewise

    device = pick_device(options.device).type
    dtype = "float32" if device == "cpu" else headers.stored_dtype or "float32"
    return dtype if options.dtype == "auto" else options.dtype, options.batch_size or default_rows(device)


def _first(config: Mapping[str, Any], *names: str) -> Any:
    for name in names:
        if name in config:
            return config[name]
    raise KeyError(f"config.json has none of {', '.join(names)}")


def _weights(folder: Path) -> tuple[int, int]:
    """Count the weights of linear layers and all others, by the headers of the safetensors files."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError("the weights are not here yet")
    matrices = others = 0
    for file in files:
        for name, tensor in _header(file).items():
            if name == "__metadata__":
                continue
            count = math.prod(tensor["shape"])
            if len(tensor["shape"]) == 2 and not any(word in name for word in _WHOLE):
                matrices += count
            else:
                others += count
    return matrices, others


def _header(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > _LONGEST_HEADER:
            raise ValueError(f"{file.name} is no safetensors file")
        header: dict[str, Any] = json.loads(stream.read(length))
    return header
