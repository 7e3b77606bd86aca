"""Folders whose weights are quantized already: what they need, and how they are made ready to compute with."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llmaudit.errors import ModelError

__all__ = ["check_checkpoint", "is_scale", "method_of", "unpack"]

#: How weights may be quantized in a folder -> what reads them, as it is imported -> as it is installed. Of a method
#: that is not here the library itself says what it lacks.
_READERS: Mapping[str, Mapping[str, str]] = {
    "awq": {"gptqmodel": "gptqmodel"},
    "bitsandbytes": {"bitsandbytes": "bitsandbytes"},
    "compressed-tensors": {"compressed_tensors": "compressed-tensors"},
    "gptq": {"optimum": "optimum", "gptqmodel": "gptqmodel"},
}


def method_of(config: Any) -> str | None:
    """Return how the weights of a folder are quantized, as its configuration names it; None where they are not."""
    settings = getattr(config, "quantization_config", None)
    if settings is None:
        return None
    method = settings.get("quant_method") if isinstance(settings, Mapping) else getattr(settings, "quant_method", None)
    # Old folders of bitsandbytes do not name it.
    return str(getattr(method, "value", method) or "bitsandbytes")


def check_checkpoint(folder: Path, config: Any, quantization: str | None) -> None:
    """Raise ModelError, before any weights are read, where a quantized folder cannot be loaded as asked."""
    method = method_of(config)
    if method is None:
        return
    if quantization is not None:
        raise ModelError(
            f"{folder}: its weights are quantized already ({method}); --quantization {quantization} needs the weights"
            " that they were made from"
        )
    if lacking := [name for module, name in _READERS.get(method, {}).items() if find_spec(module) is None]:
        raise ModelError(
            f"{folder}: its weights are quantized by {method}, which {' and '.join(lacking)}"
            f" {'reads' if len(lacking) == 1 else 'read'}: python -m pip install {' '.join(lacking)}"
        )


def unpack(model: Any) -> Any:
    """Return the model with the weights that it computes with, where they are still packed.

    compressed-tensors writes them out in full at the first forward pass, which would be timed with what it reads, and
    the memory that they take would not be known before.
    """
    if hasattr(model, "ct_decompress_hook"):
        model.hf_quantizer.compressor.decompress_model(model)
    return model


def is_scale(module: Any, name: str) -> bool:
    """Whether a parameter of a module is not one of the model's, but what compressed-tensors keeps beside a weight."""
    return hasattr(module, "quantization_scheme") and name not in {"weight", "bias"}
