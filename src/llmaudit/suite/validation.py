"""From pydantic's errors to problems: finding the place, choosing among the branches of a union."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ValidationError

from llmaudit.suite.document import Document
from llmaudit.suite.hints import closest, unknown
from llmaudit.suite.keys import known_keys
from llmaudit.suite.messages import Details, absence, either, expectation, message
from llmaudit.suite.problems import Place, Problem, Steps

__all__ = ["problems_of"]


@dataclass(frozen=True, slots=True)
class _Branch:
    """A step of pydantic's that is not in the file: the branch of a union that it tried."""

    label: str


@dataclass(frozen=True, slots=True)
class _Mistake:
    """One error of pydantic's, traced into the document."""

    error: Details
    trail: tuple[str | int | _Branch, ...]
    steps: Steps
    """The trail without its branches, from the root of the document."""
    place: Place
    told: bool
    """Whether the parser has told of a problem here already."""

    @property
    def sort(self) -> str:
        """Pydantic's name for this sort of error."""
        return str(self.error["type"])


def problems_of(error: ValidationError, document: Document, base: Steps, model: type[BaseModel]) -> list[Problem]:
    """Turn the errors of a model that was read from the value at `base` into problems."""
    traced = [_trace(details, document, base) for details in error.errors(include_url=False)]
    mistakes = [mistake for mistake in _settle(traced) if not mistake.told]
    strangers = [mistake for mistake in mistakes if mistake.sort == "extra_forbidden"]
    missing = [mistake for mistake in mistakes if mistake.sort == "missing"]
    others = [mistake for mistake in mistakes if mistake.sort not in {"extra_forbidden", "missing"}]
    problems = [Problem(mistake.place, mistake.steps, message(mistake.error)) for mistake in others]
    meant: set[tuple[Steps, str | None]] = set()
    schema = model.model_json_schema() if strangers else {}
    for mistake in strangers:
        *parent, word = mistake.steps
        known = known_keys(schema, tuple(parent[len(base) :]))
        meant.add((tuple(parent), closest(str(word), known)))
        problems.append(Problem(mistake.place, tuple(parent), unknown("key", str(word), known)))
    for mistake in missing:
        key = str(mistake.error["loc"][-1])
        # A misspelt key is one mistake, not an unknown key and a missing one.
        if (mistake.steps, key) not in meant:
            problems.append(Problem(mistake.place, mistake.steps, absence(key)))
    return problems


def _trace(error: Details, document: Document, base: Steps) -> _Mistake:
    loc = error["loc"]
    about_key = error["type"] == "extra_forbidden" or loc[-1:] == ("[key]",)
    if error["type"] == "missing" or loc[-1:] == ("[key]",):
        loc = loc[:-1]
    entry, steps = document.entry(base), base
    trail: list[str | int | _Branch] = []
    for part in loc:
        if part in entry.node.children:
            entry, steps = entry.node.children[part], (*steps, part)
            trail.append(part)
        else:
            trail.append(_Branch(str(part)))
    return _Mistake(error, tuple(trail), steps, entry.key if about_key else entry.value, entry.node.broken)


def _settle(mistakes: Iterable[_Mistake], start: int = 0) -> Iterator[_Mistake]:
    """Keep, of every union, only the mistakes of the branch that the author most likely meant."""
    unions: dict[tuple[str | int | _Branch, ...], dict[str | int | _Branch, list[_Mistake]]] = {}
    for mistake in mistakes:
        branches = (index for index, part in enumerate(mistake.trail) if index >= start and isinstance(part, _Branch))
        at = next(branches, None)
        if at is None:
            yield mistake
        else:
            unions.setdefault(mistake.trail[:at], {}).setdefault(mistake.trail[at], []).append(mistake)
    for site, tried in unions.items():
        yield from _settle(_choose(list(tried.values()), len(site) + 1), len(site) + 1)


def _choose(branches: Sequence[list[_Mistake]], depth: int) -> list[_Mistake]:
    """Return the mistakes of the branch that fits the value best, or one mistake that names what each expected."""
    fitting = [branch for branch in branches if not any(_is_misfit(mistake, depth) for mistake in branch)]
    if fitting:
        return min(fitting, key=len)
    if len(branches) == 1:
        return branches[0]
    misfits = [mistake for branch in branches for mistake in branch if _is_misfit(mistake, depth)]
    return [replace(misfits[0], error=either([mistake.error for mistake in misfits]), trail=misfits[0].trail[:depth])]


def _is_misfit(mistake: _Mistake, depth: int) -> bool:
    """Whether a branch was refused for the value as a whole, not for something inside it."""
    inside = any(not isinstance(part, _Branch) for part in mistake.trail[depth:])
    return not inside and expectation(mistake.error) is not None
