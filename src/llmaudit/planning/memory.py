"""How much memory a model and its cache of keys and values will take."""

from __future__ import annotations

from dataclasses import dataclass

from llmaudit.engines.hf.headers import Headers

__all__ = ["Memory", "foreseen_memory"]

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
#: Bits that a weight of a linear layer takes with its share of the scales.
_BITS = {"int8": 8.0, "nf4": 4.5, "fp4": 4.5, "nf4-double": 4.13}


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes; what the arithmetic of a step needs comes on top of it."""

    weights: int
    cache: int
    """Of as many of the longest sequences as are decoded side by side."""
    dtype: str
    batch: int

    @property
    def total(self) -> int:
        """Weights and cache."""
        return self.weights + self.cache


def foreseen_memory(headers: Headers, dtype: str, quantization: str | None, *, batch: int, longest: int) -> Memory:
    """Return the memory that a model takes with `batch` sequences of the `longest` length, in tokens.

    A quantization that is simulated by rounding saves none.
    """
    element = _BYTES[dtype]
    bits = _BITS.get(quantization or "", 8.0 * element)
    weights = round(headers.matrix_weights * bits / 8) + headers.other_weights * element
    return Memory(weights, headers.cache_values_per_token() * element * longest * batch, dtype, batch)
