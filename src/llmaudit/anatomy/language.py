"""How a suite writes what is looked at: sentences, layers, data types."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from llmaudit.engines.base import Variant

__all__ = ["BITS", "DTYPES", "Dtypes", "Layers", "Sentences", "Texts", "layer_name", "place", "variant_of"]

#: Data types that weights can be loaded in, and how many bits a weight then has, scales left out.
DTYPES = {"float32": 32, "bfloat16": 16, "float16": 16, "int8": 8, "nf4": 4, "fp4": 4, "nf4-double": 4}
#: Widths that memory is computed for.
BITS = (32, 16, 8, 4, 2, 1)
_FULL = ("float32", "bfloat16", "float16")
_LAYERS = ("first", "middle", "last")
#: Characters of a sentence: a map of attention has a row and a column per token, and must be read.
_LONGEST = 240


def _written(text: str) -> str:
    if not text.strip():
        raise ValueError("an empty text")
    return text


def _short(sentence: str) -> str:
    if len(sentence) > _LONGEST:
        raise ValueError(
            f"a sentence of {len(sentence)} characters, {_LONGEST} at most: maps have a row and a column per token"
            " (put longer ones under texts)"
        )
    return _written(sentence)


def _distinct(values: list[Any]) -> list[Any]:
    if twice := next((value for value in values if values.count(value) > 1), None):
        raise ValueError(f"{twice!r} stands here twice")
    return values


def _nearest(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
    return f"; did you mean {close[0]!r}?" if close else ""


def _known_layer(layer: int | str) -> int | str:
    if isinstance(layer, str) and layer not in _LAYERS:
        raise ValueError(
            f"unknown layer {layer!r}{_nearest(layer, _LAYERS)} (known: {', '.join(_LAYERS)}, or a number from 1)"
        )
    if isinstance(layer, int) and layer < 1:
        raise ValueError(f"layer {layer}: layers are counted from 1")
    return layer


def _known_dtype(dtype: str) -> str:
    if dtype not in DTYPES:
        known = tuple(DTYPES)
        raise ValueError(f"unknown data type {dtype!r}{_nearest(dtype, known)} (known: {', '.join(known)})")
    return dtype


Sentences = Annotated[
    list[Annotated[str, AfterValidator(_short)]], Field(min_length=3, max_length=64), AfterValidator(_distinct)
]
Texts = Annotated[list[Annotated[str, AfterValidator(_written)]], AfterValidator(_distinct)]
Layers = Annotated[
    list[Annotated[int | str, AfterValidator(_known_layer)]], Field(min_length=1), AfterValidator(_distinct)
]
Dtypes = Annotated[list[Annotated[str, AfterValidator(_known_dtype)]], AfterValidator(_distinct)]


def layer_name(layer: int | str) -> str:
    """Write a layer as a part of a metric's name."""
    return str(layer)


def place(layer: int | str, layers: int) -> int | None:
    """Return the index of a layer, counted from 0, of a model of so many; None where it has no such layer."""
    index = {"first": 0, "middle": layers // 2, "last": layers - 1}[layer] if isinstance(layer, str) else layer - 1
    return index if 0 <= index < layers else None


def variant_of(dtype: str) -> Variant:
    """The audited model in a data type, as an engine is asked for it."""
    return Variant(dtype=dtype) if dtype in _FULL else Variant(quantization=dtype)
