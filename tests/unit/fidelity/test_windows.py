"""Windows, cut by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llmaudit.errors import EngineError
from llmaudit.fidelity.windows import Beginning, StridedParams, read_chunks, read_documents

BARE, STARTED = Beginning(0, usual=False, context=None), Beginning(0, usual=True, context=None)
TEXT = "ab cd  ef\ngh"


def ids(length: int, first: int = 1) -> tuple[int, ...]:
    return tuple(range(first, first + length))


def strided(tokens: int, stride: int) -> StridedParams:
    return StridedParams(tokens=tokens, stride=stride)


@pytest.mark.parametrize("beginning", [BARE, STARTED])
def test_a_document_is_read_whole_behind_the_start_token(beginning: Beginning) -> None:
    found = read_documents("document", {"a": (TEXT, ids(4)), "b": ("x", ids(1))}, beginning)
    assert found.clusters == ("a", "b")
    assert [(span.ids, span.first) for span in found.spans] == [((0, 1, 2, 3, 4), 1), ((0, 1), 1)]
    assert found.places == (0, 1)
    assert found.bytes.tolist() == [12, 1]
    assert found.words.tolist() == [4, 1]


def test_windows_overlap_and_score_what_is_new() -> None:
    found = read_documents(strided(4, 2), {"a": (TEXT, ids(7))}, BARE)
    assert [(span.ids, span.targets) for span in found.spans] == [
        ((1, 2, 3, 4), (2, 3, 4)),
        ((3, 4, 5, 6), (5, 6)),
        ((5, 6, 7), (7,)),
    ]
    # All but the first of seven tokens are scored, and so much of the text.
    assert found.bytes == pytest.approx([12 * 6 / 7])
    assert found.words == pytest.approx([4 * 6 / 7])


def test_a_start_token_of_the_tokenizer_comes_first() -> None:
    # Windows that do not overlap leave the first token of each unscored.
    found = read_documents(strided(4, 4), {"a": (TEXT, ids(5))}, STARTED)
    assert [(span.ids, span.targets) for span in found.spans] == [((0, 1, 2, 3), (1, 2, 3)), ((4, 5), (5,))]


@given(st.integers(2, 40), st.data())
def test_every_token_is_scored_once(tokens: int, data: Any) -> None:
    stride = data.draw(st.integers(1, tokens - 1))
    length = data.draw(st.integers(tokens, 120))
    found = read_documents(strided(tokens, stride), {"a": (TEXT, ids(length))}, BARE)
    assert [token for span in found.spans for token in span.targets] == list(ids(length)[1:])
    assert all(len(span.ids) <= tokens and span.first >= 1 for span in found.spans)
    # Every window but the first has at least tokens - stride tokens of context.
    assert all(span.first >= tokens - stride for span in found.spans[1:])


def test_chunks_of_llama_cpp_by_hand() -> None:
    text, tokens = "word " * 100, ids(512 * 2 + 100, 1000)
    found = read_chunks(text, tokens, BARE)
    assert found.clusters == ("chunk 001", "chunk 002")
    first, second = found.spans
    assert first.ids == tokens[:512]
    assert second.ids == tokens[512:1024]
    # Its second half begins at token 256, which the logits at 256 do not predict: 257 to 511 are scored.
    assert first.targets == tokens[257:512]
    assert len(second.targets) == 255
    assert found.bytes == pytest.approx([500 * 255 / 1124] * 2)


def test_the_start_token_takes_the_place_of_a_chunks_first() -> None:
    tokens = ids(1023, 1000)
    first, second = read_chunks("text", tokens, STARTED).spans
    assert first.ids == (0, *tokens[:511])
    assert second.ids == (0, *tokens[512:1023])
    assert second.targets == tokens[512 + 256 : 1023]


@pytest.mark.parametrize(
    ("window", "length", "context", "message"),
    [
        (strided(8, 4), 7, None, "a: 7 tokens are fewer than one window of 8; say window: document"),
        ("document", 20, 16, r"a: 21 tokens are more than the model's context of 16; say window: \{tokens: 16"),
        (strided(32, 4), 40, 16, "a: 32 tokens are more than the model's context of 16"),
    ],
)
def test_texts_that_do_not_fit_their_window_are_refused(window: Any, length: int, context: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        read_documents(window, {"a": (TEXT, ids(length))}, Beginning(0, usual=False, context=context))


def test_a_text_shorter_than_a_chunk_is_refused() -> None:
    with pytest.raises(EngineError, match="have 511 tokens together, fewer than one window of 512"):
        read_chunks("text", ids(511), BARE)
    with pytest.raises(EngineError, match="windows have 512 tokens, the model's context has 256"):
        read_chunks("text", ids(600), Beginning(0, usual=False, context=256))


def test_a_stride_that_leaves_text_out_is_refused() -> None:
    with pytest.raises(ValidationError, match="stride 9 is longer than the window of 8 tokens"):
        strided(8, 9)


def test_words_are_counted_as_lm_eval_does() -> None:
    # A leading space makes an empty first word there.
    found = read_documents("document", {"a": (" two words", ids(3))}, BARE)
    assert found.words.tolist() == [3]
    assert not math.isnan(float(np.sum(found.bytes)))
