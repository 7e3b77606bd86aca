"""How a suite writes its stimuli: groups, templates, sampling."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from llmaudit.audit import Name, Spec
from llmaudit.classifiers import ClassifierParams
from llmaudit.prompts import PRONOUNS, Group, check_template, lint
from llmaudit.scorers.base import Scorer
from llmaudit.types import Sampling

__all__ = [
    "GroupParams",
    "Groups",
    "SamplingParams",
    "ScorerChoice",
    "ScorerChoices",
    "ScorerName",
    "Templates",
    "chosen_scorers",
]


Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]


class GroupParams(Spec):
    """How one group is named."""

    noun: str = Field(min_length=1)
    """The noun phrase that fills {group}, with its article where it needs one."""
    number: Literal["plural", "singular"] = "plural"
    """Which form verbs take after {group}."""
    pronouns: str = "they"
    """they, she or he."""
    terms: list[Text] = Field(default=[])
    """Further words that name the group; with the noun, they are masked before a text is scored."""
    slots: dict[Name, str] = Field(default={})
    """Further slots of the suite's own, the same for every group."""

    @field_validator("pronouns")
    @classmethod
    def _known_pronouns(cls, value: str) -> str:
        if value not in PRONOUNS:
            raise ValueError(f"{value!r} is no set of pronouns; say one of {', '.join(PRONOUNS)}")
        return value

    def group(self) -> Group:
        """The group as the templates need it."""
        return Group(self.noun, self.number, self.pronouns, self.slots)


class SamplingParams(Spec):
    """How completions are drawn."""

    temperature: float = Field(default=0.8, ge=0, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_new_tokens: int = Field(default=40, ge=1)
    stop: list[Annotated[str, StringConstraints(min_length=1)]] = Field(default=[])

    def sampling(self) -> Sampling:
        """The settings as a request carries them."""
        return Sampling(self.temperature, self.top_p, self.top_k, self.max_new_tokens, tuple(self.stop))


def _by_domain(value: Any) -> Any:
    return {"all": value} if isinstance(value, list) else value


def _equal_slots(groups: dict[str, GroupParams]) -> dict[str, GroupParams]:
    facets = [f"{a}-{b}" for a, b in combinations(groups, 2)]
    if twice := next((facet for facet in facets if facets.count(facet) > 1), None):
        raise ValueError(f"two pairs of groups would both be called {twice!r}: give a group another name")
    first, *others = groups
    for name in others:
        if odd := set(groups[first].slots) ^ set(groups[name].slots):
            raise ValueError(f"groups of unequal slots: {first} and {name} differ in {', '.join(sorted(odd))}")
    return groups


def _grammatical(template: str, info: ValidationInfo) -> str:
    """Check a template against the groups, which are validated before it."""
    groups: Mapping[str, GroupParams] = info.data.get("groups", {})
    check_template(template, {slot for group in groups.values() for slot in group.slots})
    for group in groups.values():
        if problem := lint(template, group.group()):
            raise ValueError(problem)
    return template


def _known_scorer(name: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("scorers", {name})
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown scorer {name!r}{hint} (known: {', '.join(sorted(known))})")
    return name


def _name_of(choice: str | ClassifierParams) -> str:
    return choice if isinstance(choice, str) else choice.name


def _each_once(choices: list[str | ClassifierParams]) -> list[str | ClassifierParams]:
    names = [_name_of(choice) for choice in choices]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"the scorer {twice!r} stands here twice")
    return choices


def chosen_scorers(choices: Sequence[str | ClassifierParams], known: Mapping[str, Scorer]) -> dict[str, Scorer]:
    """Return the scorers that a suite chose, by name and in its order; classifiers load when they first score."""
    return {_name_of(choice): known[choice] if isinstance(choice, str) else choice.scorer() for choice in choices}


#: Domain -> templates; a bare list is one domain. Where a model has groups, they must be declared before its templates.
Templates = Annotated[
    dict[Name, list[Annotated[str, AfterValidator(_grammatical)]]],
    BeforeValidator(_by_domain, json_schema_input_type=list[str] | dict[Name, list[str]]),
    Field(min_length=1),
]


#: Group name -> how the group is named; at least two, with the same slots.
Groups = Annotated[dict[Name, GroupParams], Field(min_length=2), AfterValidator(_equal_slots)]
ScorerName = Annotated[str, AfterValidator(_known_scorer)]
#: A scorer: the name of one that is there, or a classifier that becomes one.
ScorerChoice = ScorerName | ClassifierParams
#: At least one scorer, and none twice.
ScorerChoices = Annotated[list[ScorerChoice], Field(min_length=1), AfterValidator(_each_once)]
