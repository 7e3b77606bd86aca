"""What a suite says of prices, other tokenizers and the terms of groups."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from llmaudit.audit import Name, Spec

__all__ = ["FRAME", "Frame", "Price", "Terms", "Text", "Tokenizers", "against_names"]

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]

#: The slot for a term in its frame.
FRAME = "{term}"


class Price(Spec):
    """What tokens cost in money."""

    per_million_tokens: float = Field(gt=0, allow_inf_nan=False)
    """The price of a million tokens."""
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    """Its currency, by the three letters of ISO 4217."""


def against_names(models: Sequence[str]) -> list[str]:
    """Return the metric that compares with each tokenizer: `tokens_ratio`, and from the second on with its name.

    What may not stand in a metric's name becomes a hyphen, and so does the dot, which parts a metric from its facet.
    """
    return ["tokens_ratio" + (f"_{_clean(model)}" if number else "") for number, model in enumerate(models)]


def _clean(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", model).strip("-")


def _listed(value: Any) -> Any:
    return [] if value is None else [value] if isinstance(value, str) else value


def _distinct(models: list[str]) -> list[str]:
    if twice := next((model for model, count in Counter(models).items() if count > 1), None):
        raise ValueError(f"{twice!r} stands here twice")
    names = against_names(models)
    for first, second in combinations(range(len(models)), 2):
        if names[first] == names[second]:
            raise ValueError(f"{models[first]!r} and {models[second]!r} would both be called {names[first]!r}")
    return models


def _equal_footing(terms: dict[str, list[str]]) -> dict[str, list[str]]:
    if len(terms) == 1:
        raise ValueError("needs two groups at least: what a term costs is compared between groups")
    for group, own in terms.items():
        if not own:
            raise ValueError(f"the group {group} has no terms")
    counts = Counter(term.strip() for own in terms.values() for term in own)
    if twice := next((term for term, count in counts.items() if count > 1), None):
        inside = [group for group, own in terms.items() for term in own if term.strip() == twice]
        raise ValueError(f"{twice!r} stands here twice ({', '.join(dict.fromkeys(inside))})")
    facets = Counter(f"{a}-{b}" for a, b in combinations(terms, 2))
    if both := next((facet for facet, count in facets.items() if count > 1), None):
        raise ValueError(f"two pairs of groups would both be called {both!r}: give a group another name")
    return terms


def _one_slot(frame: str) -> str:
    if frame.count(FRAME) != 1 or "{" in (rest := frame.replace(FRAME, "")) or "}" in rest:
        raise ValueError(f"{frame!r} must hold {FRAME} once, and no other brace")
    return frame


#: One model or several, each named as for --model.
Tokenizers = Annotated[
    list[Text],
    BeforeValidator(_listed, json_schema_input_type=str | list[str] | None),
    AfterValidator(_distinct),
]
#: Group -> its names or terms; none, or two groups at least, no term twice.
Terms = Annotated[dict[Name, list[Text]], AfterValidator(_equal_footing)]
Frame = Annotated[str, AfterValidator(_one_slot)]
