"""What a loaded model tells of itself: sizes, parts, memory, special tokens. Plain numbers and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["PARTS", "Anatomy", "Part", "SpecialToken", "TextReading"]

Part = Literal["embedding", "attention", "mlp", "norm", "head", "other"]
#: What parameters are counted by; `head` is an output matrix of its own, and `other` what has no known name.
PARTS: tuple[Part, ...] = ("embedding", "attention", "mlp", "norm", "head", "other")


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """A token that stands for no text."""

    roles: tuple[str, ...]
    """What the tokenizer uses it for, such as `bos_token`; empty for one that only the vocabulary calls special."""
    text: str
    id: int
    ids: tuple[int, ...]
    """What its text is cut into; its own id alone, where it works."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The build of a model. None means that the model does not tell."""

    layers: int | None
    heads: int | None
    """Query heads of a layer."""
    kv_heads: int | None
    """Heads of a layer that have keys and values of their own."""
    head_size: int | None
    hidden_size: int | None
    vocabulary_size: int
    """Rows of the embedding matrix, those included that only pad it."""
    context_length: int | None
    tied_weights: bool
    """Whether the output matrix is the embedding matrix."""
    parts: Mapping[Part, int] = field(hash=False)
    """Part -> number of parameters; a matrix that two parts share counts once, as embedding."""
    trainable: int
    """Parameters that a training run would change as the model is loaded: packed integers are none."""
    allocated_bytes: int
    """Storages of parameters, buffers and what a quantizer keeps beside them, each counted once."""
    cache_element_bytes: int
    """Bytes of one number of the key-value cache, by the data type of the model."""
    card: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Fact -> value in words: architecture, attention, position, normalisation."""
    special_tokens: tuple[SpecialToken, ...] = ()

    @property
    def parameters(self) -> int:
        """Number of parameters, shared ones once."""
        return sum(self.parts.values())

    @property
    def cache_bytes_computed(self) -> int | None:
        """Bytes of keys and values per token, were every layer to keep every token."""
        if self.layers is None or self.kv_heads is None or self.head_size is None:
            return None
        return 2 * self.layers * self.kv_heads * self.head_size * self.cache_element_bytes


@dataclass(frozen=True, slots=True)
class TextReading:
    """What tokenizer and chat template make of a text. What concerns the template is None where there is none."""

    start_tokens: int
    """Number of start tokens in a row before the text, by the tokenizer alone."""
    chat_start_tokens: int | None = None
    """The same before the text as one turn of the template, which writes its own special tokens."""
    retokenized_start_tokens: int | None = None
    """The same where the rendered turn is cut with special tokens added once more: a common mistake of programs."""
    chat_lossless: bool | None = None
    """Whether the rendered turn holds the text and decodes back to itself; False too where the template refuses."""
