"""Looking more than once while samples are added: what a suite declares of it, and which look a run is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import Field

from llmaudit.audit import Spec
from llmaudit.stats import Spending, level_text, look_levels
from llmaudit.suite.document import Document
from llmaudit.suite.problems import Place, Problem

__all__ = ["AtLook", "Look", "LooksParams", "look_of"]


class LooksParams(Spec):
    """How often the results may be looked at before all samples are there."""

    plan: Spending
    """How the error is spent: `obrien_fleming` hardly any of it early, `pocock` evenly."""
    # With more, the first of them has too little of the error for an interval that numbers can hold.
    of: int = Field(ge=2, le=10)
    """How many looks there are; at look k of K an audit asks for k/K of its samples."""


@dataclass(frozen=True, slots=True)
class AtLook:
    """In place of a number of samples: as many as the suite's own plan has at this look."""

    number: int


@dataclass(frozen=True, slots=True)
class Look:
    """The look that a run is."""

    number: int
    of: int
    plan: Spending

    @property
    def last(self) -> bool:
        """Whether all samples are there."""
        return self.number == self.of

    @property
    def level(self) -> float:
        """The level of an interval that may be judged now: 1 - 2 alpha_k, alpha_k being the share of 5 % for this."""
        return 1 - 2 * look_levels(self.plan, self.of)[self.number - 1]

    def samples(self, declared: int) -> int:
        """Of as many samples as the suite declares, those that are there now."""
        return math.ceil(declared * self.number / self.of)

    def __str__(self) -> str:
        """As a reader needs it."""
        return f"look {self.number} of {self.of} ({self.plan.replace('_', '-')}, {level_text(self.level)} intervals)"


def look_of(looks: LooksParams | None, samples: int | AtLook | None, document: Document) -> Look | Problem | None:
    """Return the look that the user asks for, the last where none is named, or what is wrong with it."""
    number = samples.number if isinstance(samples, AtLook) else None
    if looks is None:
        if number is None:
            return None
        words = "declares no looks; declare them before the first one, as looks: {plan: obrien_fleming, of: 3}"
        return Problem(Place(1, 1), (), f"--look {number}: this suite {words}")
    place = document.key_place(("looks",))
    if isinstance(samples, int):
        words = f"--samples {samples}: this suite declares how its samples grow; say --look K (1 to {looks.of}) instead"
        return Problem(place, ("looks",), words)
    if number is not None and not 1 <= number <= looks.of:
        return Problem(place, ("looks",), f"--look {number}: this suite declares {looks.of} looks")
    return Look(number or looks.of, looks.of, looks.plan)
