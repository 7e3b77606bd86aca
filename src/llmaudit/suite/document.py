"""A parsed YAML file: its plain data, and where each piece of it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llmaudit.suite.problems import Place, Problem, Steps

__all__ = ["Document", "Entry", "Node"]


@dataclass(slots=True)
class Node:
    """A value with the places of all that it holds."""

    data: Any
    children: dict[str | int, Entry] = field(default_factory=dict)
    size: int = 1
    """How many values it holds, itself included and aliases written out."""
    height: int = 1
    """How many levels it has."""
    broken: bool = False
    """Whether a problem is known already, so that what follows from it is not worth telling."""


class Entry(NamedTuple):
    """One item of a mapping or a list."""

    key: Place
    value: Place
    node: Node


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML file."""

    filename: str
    root: Entry
    problems: tuple[Problem, ...] = ()
    """Mistakes that left the rest of the file readable."""

    @property
    def data(self) -> Any:
        """The content: mappings, lists, strings, numbers, booleans and None."""
        return self.root.node.data

    def entry(self, steps: Steps) -> Entry:
        """Return what stands at the end of some steps; KeyError if nothing does."""
        entry = self.root
        for step in steps:
            entry = entry.node.children[step]
        return entry

    def place(self, steps: Steps) -> Place:
        """Return where a value begins. An alias stands where it is used, what it holds stands at the anchor."""
        return self.entry(steps).value

    def key_place(self, steps: Steps) -> Place:
        """Return where the key of a value begins; an item of a list has none and begins where its value does."""
        return self.entry(steps).key
