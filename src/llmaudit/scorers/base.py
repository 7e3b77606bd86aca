"""What a scorer is: texts in, one number per text out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["Scorer"]


@runtime_checkable
class Scorer(Protocol):
    """Turns texts into numbers, one each."""

    @property
    def name(self) -> str:
        """The word that a suite uses."""

    @property
    def version(self) -> str:
        """What must be the same for two runs to be comparable: the instrument and its version."""

    @property
    def unit(self) -> str:
        """The unit of a difference between two scores."""

    @property
    def description(self) -> str:
        """What a score means, in one sentence."""

    @property
    def sees_terms(self) -> bool:
        """Whether the words of a text could sway the score apart from what the text says: identity terms are then
        masked before scoring, and the scorer's own reaction to them is measured.
        """

    def score(self, texts: Sequence[str]) -> list[float]:
        """Score texts; NaN where a text cannot be scored (an empty one, say)."""
