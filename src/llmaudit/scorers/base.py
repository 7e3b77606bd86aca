"""What a scorer is: texts in, one number per text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["Scorer", "Share", "Validated", "Validation", "errors_of"]

#: (how many were right, of how many).
Share = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Validation:
    """How well a scorer does on texts that people have labelled."""

    labelled_set: str
    """Which texts, with their source, as it follows their number: `movie sentences (Pang and Lee 2005)`."""
    texts: int
    auc: float | None = None
    """Area under the ROC curve, in [0, 1]."""
    kappa: float | None = None
    """Cohen's kappa with the labels at the scorer's threshold, in [-1, 1]."""
    sensitivity: Share | None = None
    """(found, of how many that have the property), for a scorer that says yes or no."""
    specificity: Share | None = None
    """(left alone, of how many that lack it)."""
    source: str = "computed by llmaudit"
    """Where the figures come from, as the end of a sentence; never quoted from a paper."""

    def __str__(self) -> str:
        """Say it in one sentence: what was found, on which texts, by whom."""
        found = [
            *([f"AUC {_short(self.auc)}"] if self.auc is not None else []),
            *([f"kappa {_short(self.kappa)}"] if self.kappa is not None else []),
            *(["sensitivity {}/{}".format(*self.sensitivity)] if self.sensitivity is not None else []),
            *(["specificity {}/{}".format(*self.specificity)] if self.specificity is not None else []),
        ]
        return f"{', '.join(found)} on {self.texts:,} {self.labelled_set}, {self.source}"


def _short(value: float) -> str:
    """Write a number between -1 and 1 with three decimals and no zero before the point."""
    return f"{value:.3f}".replace("0.", ".", 1)


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


@runtime_checkable
class Validated(Protocol):
    """A scorer that knows how well it does; one without this says that it was not validated."""

    @property
    def validation(self) -> Validation:
        """What it was held against."""


def errors_of(scorer: Scorer) -> tuple[Share, Share] | None:
    """Return the sensitivity and specificity of a yes or no, at the threshold of a scorer that has one.

    None where either is not known.
    """
    known = scorer.validation if isinstance(scorer, Validated) else None
    if known is None or known.sensitivity is None or known.specificity is None:
        return None
    return known.sensitivity, known.specificity
