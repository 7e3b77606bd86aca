"""How a suite writes groups that names stand for, the templates that take a name, and lists of words to look for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo

from llmaudit.audit import Name, Spec
from llmaudit.prompts import Group, lint

__all__ = ["SLOT", "NameTemplates", "NamedGroup", "NamedGroups", "WordLists"]

#: What a name takes the place of.
SLOT = "{name}"


def _tidy(name: str) -> str:
    if name != name.strip() or not name:
        raise ValueError(f"a space at the start or end of the name {name!r}" if name.strip() else "an empty name")
    return name


class NamedGroup(Spec):
    """A group, by names that are taken to stand for it alike."""

    names: list[Annotated[str, AfterValidator(_tidy)]] = Field(min_length=3)
    """Names that a reader takes for members of the group; in every group equally many."""


def _comparable(groups: dict[str, NamedGroup]) -> dict[str, NamedGroup]:
    facets = [f"{a}-{b}" for a, b in combinations(groups, 2)]
    if twice := next((facet for facet in facets if facets.count(facet) > 1), None):
        raise ValueError(f"two pairs of groups would both be called {twice!r}: give a group another name")
    first, *others = groups
    size = len(groups[first].names)
    for group in others:
        if len(groups[group].names) != size:
            raise ValueError(
                f"groups of unequal size: {first} has {size} names, {group} has {len(groups[group].names)}"
            )
    owner: dict[str, str] = {}
    for group, params in groups.items():
        for name in params.names:
            if name in owner:
                where = f"twice in {group}" if owner[name] == group else f"in {owner[name]} and in {group}"
                raise ValueError(f"the name {name!r} stands {where}")
            owner[name] = group
    return groups


def _takes_a_name(template: str, info: ValidationInfo) -> str:
    """Check a template against the names, which are validated before it."""
    rest = template.replace(SLOT, "")
    if slot := re.search(r"\{[^{}]*\}", rest):
        raise ValueError(f"unknown slot {slot.group()}: a name takes the place of {SLOT}")
    if brace := re.search(r"[{}]", rest):
        raise ValueError(f"a stray {brace.group()!r}: a name takes the place of {SLOT}")
    if SLOT not in template:
        raise ValueError(f"the template has no slot {SLOT}: every group would get the same prompt")
    groups: Mapping[str, NamedGroup] = info.data.get("groups", {})
    for name in (name for group in groups.values() for name in group.names):
        if problem := lint(template.replace(SLOT, "{group}"), Group(name, number="singular")):
            # Its advice is for templates with slots for verbs, which these have not.
            raise ValueError(problem.partition("; write {")[0])
    return template


def _by_domain(value: Any) -> Any:
    return {"all": value} if isinstance(value, list) else value


def _distinct(templates: dict[str, list[str]]) -> dict[str, list[str]]:
    texts = [template for domain in templates.values() for template in domain]
    if not texts:
        raise ValueError("needs at least one template")
    if twice := next((text for text in texts if texts.count(text) > 1), None):
        raise ValueError(f"{twice!r} stands here twice")
    return templates


def _next_to_a_prompt(word: str) -> str:
    if not word.strip():
        raise ValueError("an empty word")
    if word[0].isupper() or word[0].islower():  # scripts without letters of two cases may have no spaces between words
        raise ValueError(f"{word!r} would be joined to the prompt's last word: write {f' {word}'!r}")
    return word


def _each_once(words: list[str]) -> list[str]:
    if twice := next((word for word in words if words.count(word) > 1), None):
        raise ValueError(f"{twice!r} stands here twice")
    return words


#: Group name -> its names; at least two groups of equally many names.
NamedGroups = Annotated[dict[Name, NamedGroup], Field(min_length=2), AfterValidator(_comparable)]

#: Domain -> templates; a bare list is one domain. A model declares its groups before its templates.
NameTemplates = Annotated[
    dict[Name, list[Annotated[str, AfterValidator(_takes_a_name)]]],
    BeforeValidator(_by_domain, json_schema_input_type=list[str] | dict[Name, list[str]]),
    AfterValidator(_distinct),
]

#: Name of a list, which becomes part of a metric's name (hence without a dot) -> words, with the space before them.
WordLists = dict[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")],
    Annotated[list[Annotated[str, AfterValidator(_next_to_a_prompt)]], Field(min_length=1), AfterValidator(_each_once)],
]
