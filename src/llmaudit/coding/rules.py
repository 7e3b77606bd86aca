"""The coder that looks for patterns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llmaudit.coding.codebook import Category, whole_words

__all__ = ["RulesCoder"]

#: Typographic marks that models write where a pattern has the plain one.
_PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-"})


class RulesCoder:
    """Says of a text that it has a category where one of the category's patterns matches.

    Exact, repeatable and open to inspection, and blind to anything that the patterns do not name: implicit hostility,
    misspellings, irony, quotation. Words between the exceptions of a category are not seen.
    """

    def __init__(self, category: Category) -> None:
        self._patterns = [whole_words(pattern, category.words) for pattern in category.patterns]
        self._exceptions = [whole_words(pattern, category.words) for pattern in category.exceptions]

    def codes(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return 1 for a text that has the category and 0 for any other, shape (texts,)."""
        return np.array([float(self._has(text)) for text in texts], dtype=np.float64)

    def _has(self, text: str) -> bool:
        plain = " ".join(text.translate(_PLAIN).split())
        for exception in self._exceptions:
            # A mark that no pattern of words spans, so that what stands around it does not grow together.
            plain = exception.sub("|", plain)
        return any(pattern.search(plain) for pattern in self._patterns)
