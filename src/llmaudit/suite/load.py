"""From a file to a suite, or to everything that is wrong with it."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llmaudit.audit import Audit
from llmaudit.scorers.base import Scorer
from llmaudit.suite.document import Document
from llmaudit.suite.entries import EntryReader, Surroundings
from llmaudit.suite.looks import AtLook, look_of
from llmaudit.suite.margins import Margins, margins_of_nothing
from llmaudit.suite.model import AuditEntry, Suite, SuiteFile
from llmaudit.suite.problems import Place, Problem, refusal
from llmaudit.suite.strict_yaml import decode, read
from llmaudit.suite.validation import problems_of
from llmaudit.suite.waivers import utc_today

__all__ = ["load_suite"]


def load_suite(
    path: Path,
    *,
    kinds: Mapping[str, type[Audit[Any]]],
    scorers: Mapping[str, Scorer],
    seed: int = 0,
    samples: int | AtLook | None = None,
    reference: str | None = None,
    today: datetime.date | None = None,
) -> Suite:
    """Load a suite, or raise SuiteError with every mistake in it.

    Validators of a kind find the `scorers` and the suite's `folder` in their context. `samples` takes the place of the
    parameter of that name wherever a kind has one, or says which of the looks this is that the suite declares, the last
    where left out; `reference` takes the place of that of a kind that compares models; `today` decides which waivers
    have expired.
    """
    filename = str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise refusal(filename, [Problem(Place(1, 1), (), f"cannot be read: {error.strerror}")]) from error
    document = read(decode(raw, filename), filename)
    problems = list(document.problems)
    head = _head(document, problems)
    now = look_of(head.looks, samples, document) if head else None
    if isinstance(now, Problem):
        raise refusal(filename, [*problems, now])
    today = today or utc_today()
    fixed = samples if isinstance(samples, int) else None
    surroundings = Surroundings(kinds, scorers, seed, fixed, reference, today, path.parent, now)
    audits = _audits(document, surroundings, head.margins if head else {}, problems)
    if head and not problems:
        problems += margins_of_nothing(document, audits)
    if head is None or problems:
        raise refusal(filename, problems)
    return Suite(head.suite, head.description, path, hashlib.sha256(raw).hexdigest(), audits, now)


def _head(document: Document, problems: list[Problem]) -> SuiteFile | None:
    data = document.data
    if isinstance(data, dict) and "audits" in data and data["audits"] is None:
        data = {**data, "audits": {}}
    try:
        return SuiteFile.model_validate(data)
    except ValidationError as error:
        problems += problems_of(error, document, (), SuiteFile)
        return None


def _audits(
    document: Document, surroundings: Surroundings, margins: Margins, problems: list[Problem]
) -> tuple[AuditEntry, ...]:
    audits = document.data.get("audits") if isinstance(document.data, dict) else None
    entries = []
    for name in audits if isinstance(audits, dict) else ():
        reader = EntryReader(document, name, surroundings, margins)
        entries.append(reader.read())
        problems += reader.problems
    return tuple(entry for entry in entries if entry is not None)
