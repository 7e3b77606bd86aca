"""Token counts of passages of text."""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from llmaudit.types import Sample, Tokenize, Tokens

__all__ = ["Array", "Counts", "count", "ids_of", "of_language", "separates_words", "unknown_shares"]

Array = NDArray[np.float64]

#: Name of a count -> one number per passage.
Counts = Mapping[str, Array]

#: Scripts that put no spaces between words, by their ISO 15924 codes: "words" there are not words.
_UNSEGMENTED = frozenset({"hans", "hant", "hani", "jpan", "khmr", "laoo", "mymr", "thai", "tibt"})
#: Languages that are written so, by their ISO 639-3 codes, for names that do not tell the script.
_UNSEGMENTED_LANGUAGES = frozenset(
    {"bod", "cmn", "dzo", "gan", "hak", "jpn", "khm", "lao", "mya", "tha", "wuu", "yue", "zho"}
)

_WORD = re.compile(r"\S+")
_NAMES = ("tokens", "words", "characters", "bytes", "continued", "fragments", "unknown", "broken", "broken_nfc")


def separates_words(language: str) -> bool:
    """Whether white space separates words in a language named like `deu_Latn`, or `tha`."""
    first, *rest = language.casefold().split("_")
    script = next((part for part in rest if len(part) == 4 and part.isalpha()), None)
    return script not in _UNSEGMENTED if script else first not in _UNSEGMENTED_LANGUAGES


def of_language(language: str, samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples of a language's passages, in order; terms and lists of words are none."""
    return [s for s in samples if s.request.factors["language"] == language and "list" not in s.request.factors]


def count(language: str, samples: Sequence[Sample]) -> dict[str, Array]:
    """Count per passage, NaN where it could not be tokenized (or not be decoded, or told no offsets)."""
    rows = [_count_one(sample) for sample in of_language(language, samples)]
    return {name: np.array([row.get(name, math.nan) for row in rows], dtype=np.float64) for name in _NAMES}


def ids_of(language: str, samples: Sequence[Sample]) -> list[NDArray[np.int64] | None]:
    """Token ids per passage, None where it could not be tokenized."""
    responses = [sample.response for sample in of_language(language, samples)]
    return [np.array(each.ids, dtype=np.int64) if isinstance(each, Tokens) else None for each in responses]


def unknown_shares(counts: Mapping[str, Counts]) -> dict[str, float]:
    """Share of unknown tokens by language, in [0, 1]."""
    sums = {
        language: (float(np.nansum(of["unknown"])), float(np.nansum(of["tokens"]))) for language, of in counts.items()
    }
    return {language: unknown / tokens if tokens else 0.0 for language, (unknown, tokens) in sums.items()}


def _count_one(sample: Sample) -> dict[str, float]:
    request, tokens = sample.request, sample.response
    if not isinstance(request, Tokenize) or not isinstance(tokens, Tokens):
        return {}
    text = request.text
    return {
        "tokens": len(tokens.ids),
        "words": len(_WORD.findall(text)),
        "characters": len(text),
        "bytes": len(text.encode()),
        "continued": _continued(text, tokens),
        "fragments": tokens.byte_fallback,
        "unknown": tokens.unknown,
        **_broken(text, tokens.decoded),
    }


def _broken(text: str, decoded: str | None) -> dict[str, float]:
    """Whether decoding gives another text, exactly and up to canonical equivalence (Unicode form NFC)."""
    if decoded is None:
        return {}
    if decoded == text:
        return {"broken": 0.0, "broken_nfc": 0.0}
    same = unicodedata.normalize("NFC", decoded) == unicodedata.normalize("NFC", text)
    return {"broken": 1.0, "broken_nfc": float(not same)}


def _continued(text: str, tokens: Tokens) -> float:
    """Number of words in which two or more tokens start; a leading space belongs to the word behind it."""
    if len(tokens.starts) != len(tokens.ids):
        return math.nan
    ends = [match.end() for match in _WORD.finditer(text)]
    inside = Counter(bisect_right(ends, start) for start in tokens.starts)
    return float(sum(inside[word] > 1 for word in range(len(ends))))
