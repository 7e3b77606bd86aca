"""Strict YAML 1.2: plain data with places, and nothing that surprises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from llmaudit.suite.document import Document, Entry, Node
from llmaudit.suite.hints import did_you_mean
from llmaudit.suite.problems import Place, Problem, Steps, refusal, shown
from llmaudit.suite.scalars import resolve
from llmaudit.suite.syntax import odd_character, syntax_problem

__all__ = ["decode", "parse", "read"]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: Deeper than any suite, and shallow enough for every recursive reader of the data.
_MOST_LEVELS = 100
#: With aliases written out: what a few lines of nested aliases can blow up to.
_MOST_VALUES = 250_000

_DIRECTIVE = re.compile(r"(?:[ \t]*(?:#.*)?\n)*%(?!YAML[ \t]+1\.2\s)")


def parse(text: str, filename: str) -> Document:
    """Parse a file, or raise SuiteError with every mistake in it."""
    document = read(text, filename)
    if document.problems:
        raise refusal(filename, document.problems)
    return document


def decode(raw: bytes, filename: str) -> str:
    """Return the text of a file; SuiteError if it is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        lines = raw[: error.start].decode("utf-8").split("\n")
        place = Place(len(lines), len(lines[-1]) + 1)
        message = f"the byte 0x{raw[error.start]:02x} is not UTF-8 text; save the file as UTF-8"
        raise refusal(filename, [Problem(place, (), message)]) from None


def read(text: str, filename: str) -> Document:
    """Parse a file as far as it can be read, its milder mistakes in `problems`; SuiteError if it cannot be read."""
    text = text.removeprefix("\ufeff")
    builder = _Builder()
    try:
        _refuse_what_yaml_lets_pass(text)
        root = builder.document(yaml.parse(text, Loader=_LOADER))
    except _UnreadableError as stop:
        raise refusal(filename, [*builder.problems, stop.problem]) from None
    # PyYAML's own loader lets a ValueError through for an escape beyond Unicode.
    except (yaml.YAMLError, ValueError) as error:
        raise refusal(filename, [*builder.problems, syntax_problem(text, error)]) from None
    return Document(filename, root, tuple(builder.problems))


class _UnreadableError(Exception):
    """A mistake after which the rest of the file cannot be read."""

    def __init__(self, place: Place, message: str, steps: Steps = ()) -> None:
        super().__init__(message)
        self.problem = Problem(place, steps, message)


def _refuse_what_yaml_lets_pass(text: str) -> None:
    if problem := odd_character(text):
        raise _UnreadableError(problem.place, problem.message)
    if found := _DIRECTIVE.match(text):
        raise _UnreadableError(
            Place(found[0].count("\n") + 1, 1), "directives are refused: suites are YAML 1.2, without tags"
        )


class _Builder:
    """Builds values from the parser's events.

    Not from PyYAML's node graph: its C composer overflows the stack on deep nesting.
    """

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._anchors: dict[str, tuple[Place, Node | None]] = {}
        self._values = 0

    def document(self, events: Iterator[Any]) -> Entry:
        """Build the one document of a stream."""
        self._events = events
        next(events)
        if isinstance(next(events), yaml.StreamEndEvent):
            raise _UnreadableError(Place(1, 1), "the file is empty")
        place, node = self._value(next(events), (), 1)
        next(events)
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _UnreadableError(_place(after), "a second document begins here; one file holds one suite")
        if node.data is None and not node.broken:
            raise _UnreadableError(Place(1, 1), "the file is empty")
        return Entry(place, place, node)

    def _value(self, event: Any, steps: Steps, level: int) -> tuple[Place, Node]:
        place = _place(event)
        if isinstance(event, yaml.AliasEvent):
            node = self._aliased(event.anchor, place, steps)
        else:
            self._declare(event.anchor, place, None)
            node = self._fresh(event, steps, level)
            self._declare(event.anchor, place, node)
        self._values += node.size if isinstance(event, yaml.AliasEvent) else 1
        if level + node.height - 1 > _MOST_LEVELS:
            raise _UnreadableError(place, f"nested more than {_MOST_LEVELS} levels deep", steps)
        if self._values > _MOST_VALUES:
            raise _UnreadableError(place, f"more than {_MOST_VALUES} values, with the aliases written out", steps)
        return place, node

    def _fresh(self, event: Any, steps: Steps, level: int) -> Node:
        if level > _MOST_LEVELS:
            raise _UnreadableError(_place(event), f"nested more than {_MOST_LEVELS} levels deep", steps)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, steps)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(steps, level)
        else:
            node = self._mapping(steps, level)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._note(
                _place(event), steps, f"tags such as {shown(tag)} are refused; quote a text, write a number bare"
            )
            node.children.clear()
            node.broken = True
        return node

    def _scalar(self, event: Any, steps: Steps) -> Node:
        if not event.implicit[0]:
            return Node(event.value)
        try:
            return Node(resolve(event.value))
        except ValueError as error:
            self._note(_place(event), steps, str(error))
            return Node(event.value, broken=True)

    def _list(self, steps: Steps, level: int) -> Node:
        node = Node([])
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            index = len(node.data)
            place, item = self._value(event, (*steps, index), level + 1)
            _add(node, index, Entry(place, place, item))
            node.data.append(item.data)
        return node

    def _mapping(self, steps: Steps, level: int) -> Node:
        node = Node({})
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            place, key = self._value(event, steps, level + 1)
            usable = self._is_name(event, key, place, steps)
            name = key.data if usable else "?"
            value_place, value = self._value(next(self._events), (*steps, name), level + 1)
            if not usable:
                node.broken = True
            elif name in node.children:
                first = node.children[name].key
                message = f"duplicate key; it stands on line {first.line}, column {first.column} already"
                self._note(place, (*steps, name), message)
            else:
                _add(node, name, Entry(place, value_place, value))
                node.data[name] = value.data
        return node

    def _is_name(self, event: Any, key: Node, place: Place, steps: Steps) -> bool:
        """Whether a key can be used; says so if not."""
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]:
            message = "the merge key '<<' is not YAML 1.2; write the keys out, or share a whole value with an alias"
        elif key.broken:
            return False
        elif isinstance(key.data, str):
            return True
        else:
            message = f"a key must be a string, not {shown(key.data)}"
            message += "" if isinstance(key.data, list | dict | None) else "; put it in quotes"
        self._note(place, steps, message)
        return False

    def _declare(self, anchor: str | None, place: Place, node: Node | None) -> None:
        if anchor is None:
            return
        if node is None and anchor in self._anchors:
            first = self._anchors[anchor][0]
            self._note(place, (), f"duplicate anchor {shown('&' + anchor)}; the first is on line {first.line}")
        self._anchors[anchor] = place, node

    def _aliased(self, anchor: Any, place: Place, steps: Steps) -> Node:
        if anchor not in self._anchors:
            message = f"the alias {shown('*' + anchor)} has no anchor before it{did_you_mean(anchor, self._anchors)}"
        elif (node := self._anchors[anchor][1]) is not None:
            return node
        else:
            message = f"the alias {shown('*' + anchor)} stands inside its own anchor"
        self._note(place, steps, message)
        return Node(None, broken=True)

    def _note(self, place: Place, steps: Steps, message: str) -> None:
        self.problems.append(Problem(place, steps, message))


def _add(node: Node, step: str | int, entry: Entry) -> None:
    node.children[step] = entry
    node.size += entry.node.size
    node.height = max(node.height, entry.node.height + 1)


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)
