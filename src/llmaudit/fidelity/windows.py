"""How texts are cut into what a model reads at once, and which of their tokens are scored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from llmaudit.audit import Spec
from llmaudit.engines.comparing import Span
from llmaudit.errors import EngineError

__all__ = ["LLAMA_CPP", "Reading", "StridedParams", "WindowParams", "read_chunks", "read_documents"]

#: Tokens of a chunk of llama.cpp's perplexity tool (`-c 512`, its default), of which the second half is scored.
LLAMA_CPP = 512

Ids = tuple[int, ...]


class StridedParams(Spec):
    """Windows of a document that overlap."""

    tokens: int = Field(ge=2)
    """Length of a window."""
    stride: int = Field(ge=1)
    """How many tokens the next window begins later; only what the windows before it have not scored is scored in it."""

    @model_validator(mode="after")
    def _overlap(self) -> StridedParams:
        if self.stride > self.tokens:
            raise ValueError(
                f"stride {self.stride} is longer than the window of {self.tokens} tokens: text would be left out"
            )
        return self


WindowParams = Literal["document", "llama.cpp"] | StridedParams


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of the documents, and how much text that is."""

    clusters: tuple[str, ...]
    spans: tuple[Span, ...]
    places: tuple[int, ...]
    """Index of the cluster of every span."""
    bytes: NDArray[np.float64]
    """Bytes of UTF-8 that the scored tokens of every cluster stand for."""
    words: NDArray[np.float64]
    """White-space words, likewise, counted as lm-eval does: len(re.split(r"\\s+", text))."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a model's texts begin."""

    token: int
    """The start token, or what stands for it."""
    usual: bool
    """Whether the tokenizer puts it before every text."""
    context: int | None
    """How many tokens the model can read."""


def read_documents(
    window: Literal["document"] | StridedParams, texts: Mapping[str, tuple[str, Ids]], beginning: Beginning
) -> Reading:
    """Cut documents (name -> text, its tokens without special ones) into spans. Raises EngineError.

    `document` reads a whole document behind the start token and scores all of its tokens, as lm-eval's rolling
    log-likelihood does where it fits. Strided windows are those of transformers' guide to the perplexity of
    fixed-length models: no start token but the tokenizer's own, and a first token that is not scored.
    """
    spans: list[Span] = []
    places: list[int] = []
    for place, (name, (_, ids)) in enumerate(texts.items()):
        found = list(_whole(ids, beginning) if window == "document" else _strided(ids, window, beginning, name))
        if beginning.context and (length := max(len(span.ids) for span in found)) > beginning.context:
            raise EngineError(
                f"{name}: {length} tokens are more than the model's context of {beginning.context}; say"
                f" window: {{tokens: {beginning.context}, stride: {beginning.context // 2}}}"
            )
        spans += found
        places += [place] * len(found)
    scored = np.bincount(places, [len(span.targets) for span in spans], len(texts))
    share = scored / np.array([len(ids) for _, ids in texts.values()])
    sizes = np.array([_size(text) for text, _ in texts.values()]) * np.minimum(share, 1.0)[:, None]
    return Reading(tuple(texts), tuple(spans), tuple(places), sizes[:, 0], sizes[:, 1])


def read_chunks(text: str, ids: Ids, beginning: Beginning) -> Reading:
    """Cut one text into llama.cpp's chunks (tools/perplexity/perplexity.cpp); each of them is a cluster.

    Chunks of LLAMA_CPP tokens that do not overlap; what is left at the end is not read. Of each, the tokens behind the
    first half and one more are scored: 255. Where the tokenizer puts a start token before texts, it takes the place of
    the first token of every chunk. Raises EngineError for a text shorter than one chunk.
    """
    start = (beginning.token,) if beginning.usual else ()
    tokens = start + ids
    if len(tokens) < LLAMA_CPP:
        raise EngineError(f"the documents have {len(tokens)} tokens together, fewer than one window of {LLAMA_CPP}")
    if beginning.context and beginning.context < LLAMA_CPP:
        raise EngineError(f"llama.cpp's windows have {LLAMA_CPP} tokens, the model's context has {beginning.context}")
    begins = range(0, len(tokens) - LLAMA_CPP + 1, LLAMA_CPP)
    chunks = [tokens[begin : begin + LLAMA_CPP] for begin in begins]
    spans = tuple(Span((*start, *chunk[len(start) :]), LLAMA_CPP // 2 + 1) for chunk in chunks)
    share = np.array([len(span.targets) for span in spans]) / len(ids)
    size, words = _size(text)
    names = tuple(f"chunk {number:03}" for number in range(1, len(spans) + 1))
    return Reading(names, spans, tuple(range(len(spans))), size * share, words * share)


def _whole(ids: Ids, beginning: Beginning) -> Iterator[Span]:
    yield Span((beginning.token, *ids), 1)


def _strided(ids: Ids, window: StridedParams, beginning: Beginning, name: str) -> Iterator[Span]:
    tokens = ((beginning.token,) if beginning.usual else ()) + ids
    if len(tokens) < window.tokens:
        raise EngineError(
            f"{name}: {len(tokens)} tokens are fewer than one window of {window.tokens}; say window: document"
        )
    scored = 1
    for begin in range(0, len(tokens), window.stride):
        end = min(begin + window.tokens, len(tokens))
        # Where windows do not overlap, nothing predicts the first token of each.
        yield Span(tokens[begin:end], max(1, scored - begin))
        scored = end
        if end == len(tokens):
            return


def _size(text: str) -> tuple[int, int]:
    return len(text.encode()), len(re.split(r"\s+", text))
