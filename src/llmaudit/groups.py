"""How a suite names groups: by a noun, by people's names, or as the cells of crossed axes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from itertools import combinations, product
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

from llmaudit.audit import Name, Spec
from llmaudit.prompts import PRONOUNS, Group

__all__ = ["Axes", "AxisLevel", "GroupParams", "Groups", "Text", "crossed", "noun_of_axes"]

Number = Literal["plural", "singular"]
#: A text that says something.
Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]

#: What requests carry beside the axes: an axis of this name could not be told from it.
_FACTORS = ("domain", "group", "name", "paraphrase")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def _known_pronouns(value: str) -> str:
    if value not in PRONOUNS:
        raise ValueError(f"{value!r} is no set of pronouns; say one of {', '.join(PRONOUNS)}")
    return value


Pronouns = Annotated[str, AfterValidator(_known_pronouns)]


class GroupParams(Spec):
    """How one group is named: by a noun, or by names that people of the group bear."""

    names: Annotated[list[Text], Field(min_length=4)] | None = None
    """Names of people, which fill {group} in turn instead of a noun; as many in every group that has names."""
    noun: Annotated[str, Field(min_length=1)] | None = Field(default=None, validate_default=True)
    """The noun phrase that fills {group}, with its article where it needs one."""
    number: Number = "plural"
    """Which form verbs take after {group}; after a name always the singular."""
    pronouns: Pronouns = "they"
    """they, she or he."""
    terms: list[Text] = Field(default=[])
    """Further words that name the group; with the noun, they are masked before a text is scored."""
    slots: dict[Name, str] = Field(default={})
    """Further slots of the suite's own, the same for every group."""

    @field_validator("noun")
    @classmethod
    def _noun_or_names(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "names" in info.data and info.data["names"] is None and value is None:
            raise PydanticKnownError("missing")
        if info.data.get("names") is not None and value is not None:
            raise ValueError("a group has a noun or names, not both")
        return value

    @model_validator(mode="after")
    def _singular_names(self) -> GroupParams:
        if self.names and self.number == "plural" and "number" in self.model_fields_set:
            raise ValueError("after a name verbs take the singular: number cannot be plural")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """What fills {group}: the noun alone, or every name."""
        return tuple(self.names or ()) or (self.noun or "",)

    @property
    def masked(self) -> tuple[str, ...]:
        """Every word that names the group."""
        return (*self.labels, *self.terms)

    def variants(self) -> tuple[Group, ...]:
        """The group as the templates need it: once for its noun, or once for each of its names."""
        number: Number = "singular" if self.names else self.number
        return tuple(Group(label, number, self.pronouns, self.slots) for label in self.labels)


def _comparable(groups: dict[str, GroupParams]) -> dict[str, GroupParams]:
    _distinct_pairs(groups)
    first, *others = groups
    for name in others:
        if odd := set(groups[first].slots) ^ set(groups[name].slots):
            raise ValueError(f"groups of unequal slots: {first} and {name} differ in {', '.join(sorted(odd))}")
    named = {group: params.names for group, params in groups.items() if params.names}
    for a, b in combinations(named, 2):
        if len(named[a]) != len(named[b]):
            raise ValueError(f"groups of unequal names: {a} has {len(named[a])}, {b} {len(named[b])}")
    bearers = [(name, group) for group, names in named.items() for name in names]
    if twice := _repeated(name.casefold() for name, _ in bearers):
        name, group = next((name, group) for name, group in reversed(bearers) if name.casefold() == twice)
        raise ValueError(f"the name {name!r} in {group} stands here twice: it could not be told what it signals")
    return groups


#: Group name -> how the group is named; at least two, with the same slots and as many names.
Groups = Annotated[dict[Name, GroupParams], Field(min_length=2), AfterValidator(_comparable)]


class AxisLevel(Spec):
    """One level of an axis, such as young of age."""

    word: Text
    """What fills the axis's place in the noun."""
    terms: list[Text] = Field(default=[])
    """Further words that name the level; with its word, they are masked before a text is scored."""
    number: Number | None = None
    """Which form verbs take after {group}; one axis at most says it."""
    pronouns: Pronouns | None = None
    """they, she or he; one axis at most says it."""
    slots: dict[Name, str] = Field(default={})
    """Further slots of the suite's own, the same at every level of the axis."""


def _by_word(value: Any) -> Any:
    return {"word": value} if isinstance(value, str) else value


def _crossable(axes: dict[str, dict[str, AxisLevel]]) -> dict[str, dict[str, AxisLevel]]:
    if clash := next((axis for axis in axes if axis in _FACTORS), None):
        raise ValueError(f"an axis cannot be called {clash!r}: requests carry a factor of that name")
    for what in ("number", "pronouns"):
        saying = [axis for axis, levels in axes.items() if any(getattr(level, what) for level in levels.values())]
        if len(saying) > 1:
            raise ValueError(f"both {saying[0]} and {saying[1]} say {what}: let one axis say it")
    owners: dict[str, str] = {}
    for axis, levels in axes.items():
        first, *others = levels
        for other in others:
            if odd := set(levels[first].slots) ^ set(levels[other].slots):
                raise ValueError(f"levels of unequal slots: {first} and {other} differ in {', '.join(sorted(odd))}")
        for slot in levels[first].slots:
            if owners.setdefault(slot, axis) != axis:
                raise ValueError(f"both {owners[slot]} and {axis} fill the slot {slot!r}: let one axis do it")
    names = ["_".join(cell) for cell in product(*axes.values())]
    if twice := _repeated(names):
        raise ValueError(f"two cells would both be called {twice!r}: give a level another name")
    _distinct_pairs(names)
    return axes


#: Axis -> level -> how the level is named (a bare word, or a mapping); at least two axes of at least two levels.
Axes = Annotated[
    dict[
        Name,
        Annotated[
            dict[Name, Annotated[AxisLevel, BeforeValidator(_by_word, json_schema_input_type=str | AxisLevel)]],
            Field(min_length=2),
        ],
    ],
    Field(min_length=2),
    AfterValidator(_crossable),
]


def noun_of_axes(noun: str, axes: Collection[str]) -> str:
    """Return a noun that names every axis in braces. Raises ValueError for one that does not."""
    used = _PLACEHOLDER.findall(noun)
    for name in used:
        if name not in axes:
            close = difflib.get_close_matches(name, axes, n=1)
            hint = f"; did you mean {{{close[0]}}}?" if close else ""
            raise ValueError(f"unknown axis {{{name}}}{hint} (known: {', '.join(axes)})")
    if lacking := [axis for axis in axes if axis not in used]:
        raise ValueError(f"the noun lacks {{{lacking[0]}}}: levels of {lacking[0]} would get the same prompts")
    if any(character in "{}" for character in _PLACEHOLDER.sub("", noun)):
        raise ValueError("a stray brace: an axis is a plain name in braces")
    return noun


def crossed(axes: Mapping[str, Mapping[str, AxisLevel]], noun: str) -> dict[str, GroupParams]:
    """Return the cells of crossed axes, named by their levels joined by `_`, in the order of the axes."""
    cells: dict[str, GroupParams] = {}
    for combination in product(*(levels.items() for levels in axes.values())):
        levels = [level for _, level in combination]
        words = dict(zip(axes, (level.word for level in levels), strict=True))
        cells["_".join(name for name, _ in combination)] = GroupParams(
            noun=_PLACEHOLDER.sub(lambda match, words=words: words[match.group(1)], noun),  # type: ignore[misc]
            number=next((level.number for level in levels if level.number), "plural"),
            pronouns=next((level.pronouns for level in levels if level.pronouns), "they"),
            terms=[term for level in levels for term in (level.word, *level.terms)],
            slots={slot: text for level in levels for slot, text in level.slots.items()},
        )
    return cells


def _distinct_pairs(groups: Collection[str]) -> None:
    if twice := _repeated(f"{a}-{b}" for a, b in combinations(groups, 2)):
        raise ValueError(f"two pairs of groups would both be called {twice!r}: give a group another name")


def _repeated(words: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for word in words:
        if word in seen:
            return word
        seen.add(word)
    return None
