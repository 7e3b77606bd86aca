"""Words taken out of a text before it is scored, so that the score is of what is said about them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["Mask"]


class Mask:
    """Replaces whole words and phrases, in any case, by a neutral one."""

    def __init__(self, words: Iterable[str], neutral: str) -> None:
        # The longest first, so that a phrase is masked whole.
        ordered = sorted({word for word in words if word}, key=lambda word: (-len(word), word))
        alternatives = "|".join(re.escape(word) for word in ordered)
        self._pattern = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE) if ordered else None
        self._neutral = neutral

    def apply(self, texts: Sequence[str]) -> list[str]:
        """Return the texts with every word replaced."""
        return list(texts) if self._pattern is None else [self._pattern.sub(self._neutral, text) for text in texts]

    def found(self, text: str) -> int:
        """How many words of the text would be replaced."""
        return 0 if self._pattern is None else len(self._pattern.findall(text))
