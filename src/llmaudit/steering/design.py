"""The design of a steering experiment: which conditions every prompt is answered in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["NEUTRAL", "PLACEBO", "SIDES", "SIGN", "Design", "strength_name"]

#: The directions that a model is steered in.
SIDES = ("positive", "negative")
#: The same push without a direction.
PLACEBO = "placebo"
#: No push: strength 0 of every side.
NEUTRAL = "neutral"
#: What turns a change into a change in the intended direction.
SIGN = {"positive": 1.0, "negative": -1.0, PLACEBO: 1.0}


def strength_name(strength: float) -> str:
    """Write a strength as a part of a metric's name: 2, 0.5."""
    return f"{strength:.15g}".replace("+", "")


@dataclass(frozen=True, slots=True)
class Design:
    """The strengths, and the conditions that they give."""

    levels: tuple[float, ...]
    """Strengths above 0, ascending."""
    at: float
    """The strength at which bare metrics are judged: one of the levels."""
    instructed: bool
    """Whether plain instructions are conditions of their own, beside those of the method."""

    @property
    def doses(self) -> tuple[float, ...]:
        """All strengths, neutral's 0 first."""
        return (0.0, *self.levels)

    def condition(self, side: str, strength: float) -> str:
        """Name a condition: `positive-2`; strength 0 is neutral on every side."""
        return f"{side}-{strength_name(strength)}" if strength else NEUTRAL

    def instruction(self, side: str) -> str:
        """Name the condition of a plain instruction."""
        return f"instruction-{side}"

    def series(self, side: str) -> list[str]:
        """The conditions of one side, neutral first."""
        return [self.condition(side, strength) for strength in self.doses]

    def slope_weights(self, side: str) -> dict[str, float]:
        """Weights of the conditions in the least-squares slope over the strengths."""
        centred = np.array(self.doses) - np.mean(self.doses)
        return dict(zip(self.series(side), (centred / (centred @ centred)).tolist(), strict=True))

    @property
    def conditions(self) -> list[str]:
        """Every condition: neutral, each side's strengths, the instructions."""
        steered = [self.condition(side, level) for side in (*SIDES, PLACEBO) for level in self.levels]
        return [NEUTRAL, *steered, *(self.instruction(side) for side in (*SIDES, PLACEBO) if self.instructed)]
