"""The complaints of the YAML parser in plain words."""

from __future__ import annotations

import re

import yaml

from llmaudit.suite.problems import Place, Problem

__all__ = ["odd_character", "syntax_problem"]

# What YAML calls printable, less the three characters that PyYAML takes for line breaks and no editor does.
_ODD = re.compile(r"[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BREAK = re.compile(r"\r\n?|\n")

_TAB = "a tab cannot indent; use spaces"

# (a part of the context, a part of the problem, what to say); both loaders of PyYAML share the contexts.
_PLAIN_WORDS = (
    ("", "mapping values are not allowed", "':' makes no sense here; a text that holds ': ' needs quotes"),
    ("", "entries are not allowed", "'-' makes no sense here; a list begins on a line of its own"),
    ("", "tab character", _TAB),
    ("quoted scalar", "end of stream", "the quote opened on line {line} is never closed"),
    ("quoted scalar", "unknown escape", "an unknown escape; in double quotes a backslash is written twice"),
    ("flow sequence", "", "expected ',' or ']' to go on with the list opened on line {line}"),
    ("flow mapping", "", "expected ',' or '}}' to go on with the mapping opened on line {line}"),
    ("block mapping", "", "expected another key of the mapping that began on line {line}; is the indentation right?"),
    ("block collection", "", "expected another '-' of the list that began on line {line}; is the indentation right?"),
)


def odd_character(text: str) -> Problem | None:
    """Return the problem of the first character that a suite may not hold."""
    found = _ODD.search(text)
    if found is None:
        return None
    before = _BREAK.split(text[: found.start()])
    name = f"U+{ord(found[0]):04X}"
    if found[0] in "\x85\u2028\u2029":
        message = f'the character {name} ends a line for some readers only; write it as "\\u{ord(found[0]):04X}"'
    else:
        message = f"the character {name} does not belong in text; is this a YAML file?"
    return Problem(Place(len(before), len(before[-1]) + 1), (), message)


def syntax_problem(text: str, error: Exception) -> Problem:
    """Turn an error of the parser into a problem with a place."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem(Place(1, 1), (), f"not YAML: {error}")
    mark = error.problem_mark
    return Problem(Place(mark.line + 1, mark.column + 1), (), _words(text, error, Place(mark.line, mark.column)))


def _words(text: str, error: yaml.MarkedYAMLError, at: Place) -> str:
    context, problem = error.context or "", error.problem or ""
    if "cannot start any token" in problem:
        character = _BREAK.split(text)[at.line][at.column]
        return _TAB if character == "\t" else f"a text that begins with {character!r} needs quotes"
    opened = error.context_mark.line + 1 if error.context_mark else at.line + 1
    for in_context, in_problem, words in _PLAIN_WORDS:
        if in_context in context and in_problem in problem:
            return words.format(line=opened)
    return f"not YAML: {problem}" + (f" ({context})" if context else "")
