"""How a suite writes what a diversity audit varies, keeps fixed and asks."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from llmaudit.audit import Spec

__all__ = ["Contexts", "DiversitySampling", "Entropies", "Nuclei", "Temperatures"]


def _sampled(temperature: float) -> float:
    if temperature == 0:
        raise ValueError(
            "temperature 0 gives the same answer every time and has no diversity: leave it out (`determinism` repeats"
            " greedy answers)"
        )
    return temperature


def _distinct(values: list[Any]) -> list[Any]:
    if twice := next((value for value in values if values.count(value) > 1), None):
        raise ValueError(f"{twice!r} stands here twice")
    return values


Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
Temperature = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), AfterValidator(_sampled)]
Nucleus = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Temperatures = Annotated[list[Temperature], Field(min_length=2), AfterValidator(_distinct)]
Nuclei = Annotated[list[Nucleus], Field(min_length=2), AfterValidator(_distinct)]
Entropies = Annotated[list[Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)]], AfterValidator(_distinct)]
Contexts = Annotated[list[Text], AfterValidator(_distinct)]


class DiversitySampling(Spec):
    """How answers are drawn, but for what is varied."""

    temperature: Temperature | None = None
    """Only where top_p is varied; 1 where left out."""
    top_k: int = Field(default=0, ge=0)
    max_new_tokens: int | None = Field(default=None, ge=1)
    """At least `length`. A third more than that where left out: text cut in tokens again may have fewer of them."""
    stop: list[Annotated[str, StringConstraints(min_length=1)]] = Field(default=[])
