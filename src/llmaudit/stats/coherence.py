"""Signs that a text has come apart: repetition, characters that are none, another script. Pure functions on texts."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Hashable, Sequence

from llmaudit.stats.diversity import ngrams

__all__ = ["main_script", "repetition", "script_drift", "undecodable"]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
#: Scripts that one language is written in together.
_TOGETHER = {"HIRAGANA": "CJK", "KATAKANA": "CJK"}


def repetition(tokens: Sequence[Hashable], n: int = 4) -> float:
    """Return seq-rep-n, 1 minus unique over all n-grams of one text, in [0, 1) (Welleck et al. 2020, section 3).

    NaN where the text has fewer than n tokens.
    """
    found = ngrams(tokens, n)
    return 1 - len(set(found)) / len(found) if found else math.nan


def undecodable(text: str) -> bool:
    """Whether a text holds U+FFFD, which stands for bytes that are no character, or an unassigned code point."""
    return any(character == _REPLACEMENT or unicodedata.category(character) == "Cn" for character in text)


def main_script(text: str) -> str | None:
    """Return the script of most letters of a text; None where it has no letters."""
    scripts = Counter(map(_script, filter(str.isalpha, text)))
    # By name where two are as frequent, so that the order of the text plays no part.
    return max(scripts, key=lambda script: (scripts[script], script)) if scripts else None


def script_drift(text: str, script: str) -> float:
    """Return the share of a text's letters, in [0, 1], of another script than `script`. NaN where it has no letters."""
    letters = [_script(character) for character in text if character.isalpha()]
    return sum(letter != script for letter in letters) / len(letters) if letters else math.nan


def _script(letter: str) -> str:
    """The first word of a letter's name in Unicode is its script, but for signs such as the ordinal indicators."""
    first = unicodedata.name(letter, "UNNAMED").partition(" ")[0]
    return _TOGETHER.get(first, first)
