"""Repeated attempts: what earlier runs of the same suites on the same model concluded.

To run again until a check passes makes its verdict worthless, so each run tells of those before it. It carries their
verdicts along: they outlive the folders of the runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llmaudit.earlier import run_files
from llmaudit.records import Attempt
from llmaudit.run import Run

__all__ = ["with_attempts"]

#: Earlier attempts that a run carries along, the newest.
_KEPT = 10
#: Runs that are looked at, the newest.
_LOOKED_AT = 200
#: Characters of a run.json within which its long parts must begin.
_HEAD = 1 << 20
_LONG_PARTS = '\n "audits": '
#: What makes two models one, as far as it is known; a copy in another form is another model.
_MODEL = ("resolved", "engine", "revision", "sha256", "dtype", "quantization")

_ATTEMPTS = TypeAdapter(tuple[Attempt, ...])


def with_attempts(run: Run, reports: Path) -> Run:
    """Return the run with the attempts before it, as `reports/<model>/<start>/run.json` tell of them, and itself.

    Earlier runs count that audited the same model, whatever their seed, by at least one suite file with the same
    bytes; of the others of their suites nothing is told. A smoke run judges nothing and is no attempt.
    """
    if run.smoke or run.model is None:
        return run
    earlier = _earlier(run, reports)
    number = 1 + max([len(earlier), *(attempt.number for attempt in earlier)])
    verdicts = {f"{record.suite}/{record.audit}/{record.check}": record.verdict for record in run.records}
    own = Attempt(number, run.run_id, run.started, run.seed, run.complete, verdicts)
    return replace(run, attempts=(*earlier[-_KEPT:], own))


def _earlier(run: Run, reports: Path) -> list[Attempt]:
    """Return the attempts before a run, the oldest first."""
    found: dict[str, Attempt] = {}
    for file in run_files(reports)[:_LOOKED_AT]:
        head = _head(file)
        shared = _shared_suites(head, run) if head and _same_model(head, run) else set()
        for attempt in _attempts(head) if head and shared else ():
            verdicts = {check: word for check, word in attempt.verdicts.items() if check.rsplit("/", 2)[0] in shared}
            if verdicts and attempt.run_id != run.run_id:
                # Two runs may tell of one attempt, each of the suites that it shares with it.
                told = found[attempt.run_id].verdicts if attempt.run_id in found else {}
                found[attempt.run_id] = replace(attempt, verdicts={**told, **verdicts})
        if len(found) >= _KEPT:
            break
    return sorted(found.values(), key=lambda attempt: attempt.started)


def _head(file: Path) -> Mapping[str, Any] | None:
    """Read the beginning of a run.json; None where it is none, or is one that nobody finished writing."""
    try:
        with file.open(encoding="utf-8") as stream:
            text = stream.read(_HEAD)
        end = text.find(_LONG_PARTS)
        data = json.loads(text[:end].rstrip().removesuffix(",") + "}") if end > 0 else None
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _same_model(head: Mapping[str, Any], run: Run) -> bool:
    model = head.get("model")
    return isinstance(model, dict) and all(model.get(name) == getattr(run.model, name) for name in _MODEL)


def _shared_suites(head: Mapping[str, Any], run: Run) -> set[str]:
    """Return the names of the suites whose files had the same bytes then."""
    own = {(suite.name, suite.sha256) for suite in run.suites}
    try:
        return {suite["name"] for suite in head["suites"] if (suite["name"], suite["sha256"]) in own}
    except (KeyError, TypeError):
        return set()


def _attempts(head: Mapping[str, Any]) -> Iterator[Attempt]:
    try:
        yield from _ATTEMPTS.validate_python(head.get("attempts", ()))
    except ValidationError:
        return
