"""How tokenizers of three families cut a text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaudit.engines.hf.tokenization import cut


@pytest.fixture(scope="module")
def byte_level(tiny: Any) -> Any:
    return tiny.byte_level()


@pytest.fixture(scope="module")
def byte_fallback(tiny: Any) -> Any:
    return tiny.byte_fallback()


def test_pieces_ids_and_offsets_belong_together(byte_level: Any) -> None:
    text = "the women are"
    found = cut(byte_level, text)
    assert found.ids == tuple(byte_level(text)["input_ids"])
    assert len(found.ids) == len(found.pieces) == len(found.starts)
    assert "".join(found.pieces).replace("Ġ", " ") == text
    assert found.decoded == text
    assert (found.unknown, found.byte_fallback) == (0, 0)


def test_offsets_rise_and_point_at_the_token(byte_level: Any) -> None:
    text = "the women are in the offices"
    found = cut(byte_level, text)
    assert list(found.starts) == sorted(found.starts)
    for start, piece in zip(found.starts, found.pieces, strict=True):
        assert text[start:].startswith(piece.replace("Ġ", ""))


@pytest.mark.parametrize(
    ("text", "fragments"),
    [("abc", 0), ("猫", 3), ("a猫b", 3), ("🙂", 4), ("naïve", 2), ("the", 0), ("\x00\x7f", 0), ("", 0)],
)
def test_bytes_of_a_character_are_fragments(byte_level: Any, text: str, fragments: int) -> None:
    # None of these characters is in the training text, so each of their bytes is a token.
    found = cut(byte_level, text)
    assert found.byte_fallback == fragments
    assert found.decoded == text


def test_a_character_that_is_one_token_is_no_fragment(byte_level: Any) -> None:
    merged = [piece for piece in byte_level.get_vocab() if piece == "Ã¼"]  # the bytes of ü
    assert cut(byte_level, "ü").byte_fallback == (0 if merged else 2)


@pytest.mark.parametrize(
    ("text", "fragments"), [("abc", 0), ("猫", 3), ("été", 0), ("über", 0), ("ñ", 2), ("a猫 é", 3)]
)
def test_only_byte_tokens_are_fragments_where_the_vocabulary_holds_characters(
    byte_fallback: Any, text: str, fragments: int
) -> None:
    # é is a piece of its own here. (Byte-level BPE writes the byte E9 with the same letter.)
    found = cut(byte_fallback, text)
    assert found.byte_fallback == fragments
    assert found.unknown == 0
    assert found.decoded == text


def test_a_single_byte_of_ascii_is_a_character(byte_fallback: Any) -> None:
    # "1" is not in the vocabulary: it comes as the byte 0x31, which is a whole character.
    found = cut(byte_fallback, "1")
    assert found.pieces[-1] == "<0x31>"
    assert found.byte_fallback == 0


def test_unknown_words_are_counted_and_break_the_round_trip(tiny: Any) -> None:
    found = cut(tiny.word_level(), "the dog sleeps")
    assert found.pieces == ("the", "[UNK]", "sleeps")
    assert found.unknown == 1
    assert found.decoded == "the [UNK] sleeps"


def test_a_text_that_spells_the_unknown_token_is_not_unknown(tiny: Any, byte_level: Any) -> None:
    assert cut(byte_level, f"the {tiny.end} women").unknown == 0


def test_a_tokenizer_may_have_no_unknown_token(tiny: Any) -> None:
    # Qwen's and Llama 3's have none.
    found = cut(tiny.byte_level(unknown=None), "the women")
    assert found.unknown == 0
    assert found.decoded == "the women"


def test_no_special_tokens_are_added(byte_fallback: Any) -> None:
    assert byte_fallback("a")["input_ids"][0] == byte_fallback.bos_token_id
    assert byte_fallback.bos_token_id not in cut(byte_fallback, "a").ids


def test_decoding_does_not_tidy_spaces_away(tiny: Any) -> None:
    tidy = tiny.byte_level(clean_up_tokenization_spaces=True)
    assert cut(tidy, "the women , do n't .").decoded == "the women , do n't ."


def test_a_tokenizer_that_tells_no_offsets(byte_level: Any) -> None:
    class Slow:
        is_fast = False
        unk_token = None

        def __call__(self, text: str, **settings: Any) -> Any:
            assert settings["return_offsets_mapping"] is False
            return {"input_ids": byte_level(text)["input_ids"]}

        def __getattr__(self, name: str) -> Any:
            return getattr(byte_level, name)

    slow = Slow()
    slow.unk_token = byte_level.unk_token
    assert cut(slow, "the women").starts == ()


def test_a_very_long_text_is_cut_without_a_warning(byte_level: Any) -> None:
    byte_level.model_max_length = 8
    assert len(cut(byte_level, "the women " * 50).ids) > 8


@settings(max_examples=60, deadline=None)  # the first call of a tokenizer is slow
@given(text=st.text(max_size=30))
def test_byte_level_round_trips_are_lossless(byte_level: Any, text: str) -> None:
    found = cut(byte_level, text)
    assert found.decoded == text
    assert len(found.starts) == len(found.ids)


def test_a_tokenizer_that_cannot_decode_still_cuts(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise NotImplementedError

    tokenizer = tiny.byte_level()
    monkeypatch.setattr(tokenizer, "decode", refuse)
    found = cut(tokenizer, "the women")
    assert found.decoded is None
    assert found.ids
