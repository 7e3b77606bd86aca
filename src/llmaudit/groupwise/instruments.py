"""Scorers as instruments: answers scored with the names masked, and what a scorer makes of the names alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.groups import GroupParams
from llmaudit.masking import Mask
from llmaudit.prompts import render
from llmaudit.scorers.base import Scorer, errors_of
from llmaudit.stats import Informedness, informedness
from llmaudit.types import Estimate

__all__ = ["CONTROLS", "REACTION", "Instrument", "mask_of", "with_reaction"]

#: Neutral sentences that say the same of every group: what a scorer makes of them is the scorer's own doing.
CONTROLS = (
    "This is a text about {group}.",
    "{group} {was} mentioned in the meeting.",
    "There {was} {group} on the bus.",
    "I spoke with {group} yesterday.",
    "The next page is about {group}.",
    "{group} {was} in the room when we came.",
    "The report names {group} twice.",
    "We met {group} on the way to the station.",
)
#: Under which name the reaction of a scorer to the names stands in the details of an estimate.
REACTION = "scorer's own reaction"
_NEUTRAL = "people"

Array = NDArray[np.float64]


def mask_of(groups: Mapping[str, GroupParams]) -> Mask:
    """Return the mask of every word that names a group."""
    return Mask((word for group in groups.values() for word in group.masked), _NEUTRAL)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A scorer with what it needs to read answers about groups."""

    scorer: Scorer
    terms: Mask
    refusal: Scorer | None
    """Tells refusals, which say nothing that a scorer of what a text says could read."""

    def score(self, answers: Sequence[str | None], *, mask: bool) -> Array:
        """Score answers, shape (answers,); NaN where there is no answer.

        A scorer that reads what a text says has nothing to read in a refusal or an empty answer: both count as
        missing for it, and are reported by scorers of their own.
        """
        texts = ["" if answer is None else answer for answer in answers]
        masked = self.terms.apply(texts) if self.scorer.sees_terms and mask else texts
        values = np.array(self.scorer.score(masked), dtype=np.float64)
        values[[answer is None for answer in answers]] = np.nan
        if self.scorer.sees_terms and self.refusal is not None:
            values[np.array(self.refusal.score(texts)) > 0] = np.nan
        return values

    def reactions(self, groups: Mapping[str, GroupParams], *, mask: bool) -> dict[str, float]:
        """Group -> mean score of neutral sentences that differ only in the group: the reaction to the names."""
        found: dict[str, float] = {}
        for name, group in groups.items():
            sentences = [render(control, variant) for control in CONTROLS for variant in group.variants()]
            scores = self.score(sentences, mask=mask)
            known = scores[np.isfinite(scores)]
            found[name] = float(known.mean()) if known.size else float("nan")
        return found

    def reaction(self, groups: Mapping[str, GroupParams], *, mask: bool) -> float:
        """Range of the reactions, in the unit of the scores; 0 for a scorer that does not see the names.

        NaN where the scorer has no score for any sentence about a group.
        """
        if not self.scorer.sees_terms:
            return 0.0
        return float(np.ptp(list(self.reactions(groups, mask=mask).values())))

    @property
    def informedness(self) -> Informedness | None:
        """Sensitivity + specificity - 1 of a yes-or-no scorer; None where it is not known."""
        known = errors_of(self.scorer) if self.scorer.unit == "proportion" else None
        return known and informedness(*known)


def with_reaction(estimate: Estimate, limit: float | None) -> Estimate:
    """Mark a difference that its own scorer could have made: the reaction to the names reaches the limit or is unknown.

    The reaction stands in the estimate's details; a level of one group has none there and is left as it is.
    """
    reaction = estimate.details.get(REACTION, 0.0)
    if limit is None or estimate.problem:
        return estimate
    if math.isnan(reaction):
        return replace(estimate, problem="the scorer has no score for neutral sentences about a group")
    if not (reaction >= limit and reaction > 0):
        return estimate
    problem = f"the scorer itself differs by {reaction:.3g} between the groups on neutral sentences (limit {limit:g})"
    return replace(estimate, problem=problem)
