"""How a Hugging Face tokenizer cuts a text."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from llmaudit.types import Tokens

__all__ = ["cut", "vocabulary_digest"]


def cut(tokenizer: Any, text: str) -> Tokens:
    """Tokenize a text without special tokens."""
    fast = bool(tokenizer.is_fast)
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=fast, verbose=False)
    ids: list[int] = encoding["input_ids"]
    pieces = [str(piece) for piece in tokenizer.convert_ids_to_tokens(ids)]
    unknown = tokenizer.unk_token
    byte_level = _knows(tokenizer, "Ġ") and not _knows(tokenizer, "▁")
    return Tokens(
        ids=tuple(ids),
        pieces=tuple(pieces),
        starts=tuple(start for start, _ in encoding["offset_mapping"]) if fast else (),
        # A token that spells its own characters is not unknown, even where the vocabulary calls its end token so.
        unknown=sum(piece == unknown for piece in pieces) if unknown is not None and unknown not in text else 0,
        byte_fallback=sum(_is_byte(piece) or (byte_level and _is_fragment(piece)) for piece in pieces),
        decoded=_decoded(tokenizer, ids),
    )


def _decoded(tokenizer: Any, ids: list[int]) -> str | None:
    try:
        return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
    except NotImplementedError:  # what transformers' base class says for a tokenizer that only cuts
        return None


def vocabulary_digest(tokenizer: Any) -> str:
    """SHA-256 of which token has which number, as hexadecimal digits."""
    pairs = sorted((int(number), str(token)) for token, number in tokenizer.get_vocab().items())
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


def _knows(tokenizer: Any, piece: str) -> bool:
    return tokenizer.convert_tokens_to_ids(piece) not in {None, tokenizer.unk_token_id}


def _is_byte(piece: str) -> bool:
    """Whether a token is one byte of a longer character: the byte fallback of SentencePiece."""
    return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">") and int(piece[3:5], 16) >= 0x80


def _is_fragment(piece: str) -> bool:
    """Whether a token of byte-level BPE holds part of a character."""
    alphabet = _byte_alphabet()
    if not all(character in alphabet for character in piece):
        return False
    try:
        bytes(alphabet[character] for character in piece).decode()
    except UnicodeDecodeError:
        return True
    return False


@cache
def _byte_alphabet() -> dict[str, int]:
    """Return the printable stand-ins that byte-level BPE uses for bytes (Radford et al. 2019, GPT-2's encoder.py)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    alphabet = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in set(printable))
    return alphabet | {chr(256 + number): byte for number, byte in enumerate(others)}
