"""Waivers in a file of their own: findings that are accepted for a reason and until a date, by check.

demographic bias/gender/sentiment_gap:
  reason: known since the release of May; the next model is trained without it
  expires: 2027-03-31
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import RootModel, ValidationError

from llmaudit.audit import Expected
from llmaudit.errors import SuiteError
from llmaudit.suite.document import Document
from llmaudit.suite.hints import unknown
from llmaudit.suite.model import AuditEntry, CheckEntry, Suite
from llmaudit.suite.problems import Place, Problem, refusal
from llmaudit.suite.strict_yaml import decode, read
from llmaudit.suite.validation import problems_of

__all__ = ["Waivers", "expiry", "read_suite_name", "read_waivers", "utc_today"]


class _File(RootModel[dict[str, Expected]]):
    """The content of a file of waivers."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One waiver, and where it stands."""

    name: str
    suite: str
    audit: str
    check: str
    waiver: Expected
    place: Place


@dataclass(frozen=True, slots=True)
class Waivers:
    """What one file accepts. Without entries it accepts nothing."""

    filename: str
    entries: tuple[_Entry, ...] = field(default=())

    def apply(self, suite: Suite) -> Suite:
        """Return the suite with its checks waived. Raises SuiteError for a check that it does not have."""
        own = [entry for entry in self.entries if entry.suite == suite.name]
        if not own:
            return suite
        problems = [problem for entry in own if (problem := _misfit(entry, suite))]
        if problems:
            raise refusal(self.filename, problems)
        waived = {(entry.audit, entry.check): entry.waiver for entry in own}
        return replace(suite, audits=tuple(_waived(audit, waived) for audit in suite.audits))

    def strangers(self, suites: Collection[str]) -> set[str]:
        """Return the suites that the file names and that are not among the given ones."""
        return {entry.suite for entry in self.entries} - set(suites)

    def refuse_strangers(self, suites: Collection[str]) -> None:
        """Raise SuiteError where the file names a suite that is not among the given ones."""
        words = {name: unknown("suite", name, suites) for name in self.strangers(suites)}
        problems = [Problem(e.place, (e.name,), words[e.suite]) for e in self.entries if e.suite in words]
        if problems:
            raise refusal(self.filename, problems)


def read_waivers(path: Path, today: datetime.date | None = None) -> Waivers:
    """Read a file of waivers, or raise SuiteError with every mistake in it, each waiver that has expired included."""
    filename = str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise refusal(filename, [Problem(Place(1, 1), (), f"cannot be read: {error.strerror}")]) from error
    text = decode(raw, filename)
    if not any(map(_says_something, text.removeprefix("\ufeff").splitlines())):
        return Waivers(filename)
    document = read(text, filename)
    problems = list(document.problems)
    try:
        waivers = _File.model_validate(document.data).root
    except ValidationError as error:
        raise refusal(filename, [*problems, *problems_of(error, document, (), _File)]) from None
    problems += _misnamed(waivers, document)
    problems += _expired(waivers, document, today or utc_today())
    if problems:
        raise refusal(filename, problems)
    return Waivers(filename, tuple(_entries(waivers, document)))


def utc_today() -> datetime.date:
    """Return the day by which waivers run out: that of Greenwich, as runs and their reports count it."""
    return datetime.datetime.now(datetime.UTC).date()


def expiry(waiver: Expected, today: datetime.date) -> str | None:
    """Say that a waiver has run out, if it has."""
    if waiver.expires > today:
        return None
    return f"the waiver expired on {waiver.expires}; renew it with a reason, or remove it"


def read_suite_name(path: Path) -> str | None:
    """Return the name of the suite in a file, or None where the file cannot be read as a suite."""
    try:
        data = read(decode(path.read_bytes(), str(path)), str(path)).data
    except (OSError, SuiteError):
        return None  # whoever collects the file tells of it
    name = data.get("suite") if isinstance(data, dict) else None
    return name if isinstance(name, str) else None


def _says_something(line: str) -> bool:
    # The last waiver may have been removed, and a comment left in its place.
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _misnamed(waivers: Mapping[str, Expected], document: Document) -> Iterator[Problem]:
    for name in waivers:
        if name.count("/") < 2 or not all(name.rsplit("/", 2)):
            words = "expected the name of a check: SUITE/AUDIT/CHECK, as in 'demographic bias/gender/sentiment_gap'"
            yield Problem(document.key_place((name,)), (name,), words)


def _expired(waivers: Mapping[str, Expected], document: Document, today: datetime.date) -> Iterator[Problem]:
    for name, waiver in waivers.items():
        if words := expiry(waiver, today):
            yield Problem(document.place((name, "expires")), (name, "expires"), words)


def _entries(waivers: Mapping[str, Expected], document: Document) -> Iterator[_Entry]:
    for name, waiver in waivers.items():
        # The name of a suite is free text and may hold a slash; those of audits and checks may not.
        suite, audit, check = name.rsplit("/", 2)
        yield _Entry(name, suite, audit, check, waiver, document.key_place((name,)))


def _misfit(entry: _Entry, suite: Suite) -> Problem | None:
    audits = {audit.name: audit for audit in suite.audits}
    if entry.audit not in audits:
        return Problem(entry.place, (entry.name,), unknown("audit", entry.audit, audits))
    audit = audits[entry.audit]
    checks = {check.metric: check for check in audit.checks}
    if entry.check not in checks:
        return Problem(entry.place, (entry.name,), unknown("check", entry.check, checks))
    check = checks[entry.check]
    if check.params.xfail or audit.audit.params.xfail:
        place = check.place if check.params.xfail else audit.place
        words = f"the suite waives this check itself (xfail, {suite.path}:{place.line}); remove one of the two"
        return Problem(entry.place, (entry.name,), words)
    return None


def _waived(audit: AuditEntry, waivers: Mapping[tuple[str, str], Expected]) -> AuditEntry:
    def accepted(check: CheckEntry) -> CheckEntry:
        waiver = waivers.get((audit.name, check.metric))
        return check if waiver is None else replace(check, params=check.params.model_copy(update={"xfail": waiver}))

    return replace(audit, checks=tuple(map(accepted, audit.checks)))
