"""A mistake in a suite file: where it is, what it is about, how it reads."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from llmaudit.errors import SuiteError

__all__ = ["Place", "Problem", "Steps", "dotted", "refusal", "shown"]

#: The way from the root of a document to one of its values: keys of mappings and indices of lists.
Steps = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[\w.+-]+")
_LONGEST = 60


class Place(NamedTuple):
    """Where in a file something stands; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake."""

    place: Place
    steps: Steps
    message: str


def dotted(steps: Steps) -> str:
    """Write steps as `audits.gender.templates[2]`."""
    words = ""
    for step in steps:
        if isinstance(step, int):
            words += f"[{step}]"
        else:
            words += "." if words else ""
            words += step if _PLAIN_KEY.fullmatch(step) else shown(step)
    return words


def shown(value: Any) -> str:
    """Name a value of a suite file the way its author would."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case float() if not math.isfinite(value):
            return f"{value}".replace("inf", ".inf").replace("nan", ".nan")
        case _:
            text = repr(value)
            return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def refusal(filename: str, problems: Iterable[Problem]) -> SuiteError:
    """Make one error of all problems of a file, from its top to its bottom."""
    ordered = sorted(problems, key=lambda problem: problem.place)
    return SuiteError([_line(filename, problem) for problem in ordered])


def _line(filename: str, problem: Problem) -> str:
    about = f"{dotted(problem.steps)}: " if problem.steps else ""
    return f"{filename}:{problem.place.line}:{problem.place.column}: {about}{problem.message}"
