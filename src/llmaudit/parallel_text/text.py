"""What a reader of parallel text gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = ["ParallelText"]


@dataclass(frozen=True, slots=True)
class ParallelText:
    """The same passages in the same order in every language."""

    passages: Mapping[str, tuple[str, ...]]
    """Language -> its passages: sentences, or articles."""
    documents: tuple[str, ...] = ()
    """Which document each passage comes from; empty where every passage stands for itself."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Name of a file that was read -> SHA-256 of its bytes, as hexadecimal digits."""

    def first(self, limit: int | None) -> ParallelText:
        """Return the first passages of every language; all of them for None."""
        passages = {language: passages[:limit] for language, passages in self.passages.items()}
        return replace(self, passages=passages, documents=self.documents[:limit])
