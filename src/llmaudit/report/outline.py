"""A run cut into the sections and rows of its report, each in the order in which it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from llmaudit.audit import Table
from llmaudit.records import AuditRecord, EstimateRecord, Record
from llmaudit.report.words import STATUSES, Status, fails_run, status
from llmaudit.run import Run

__all__ = ["CheckRow", "EstimateRow", "Section", "check_rows", "sections"]

#: Longest file name that is made of an audit's name, so that no file system refuses it.
_MAX_NAME = 80
#: Sections of the page that are no audit.
_TAKEN = {"audits", "baseline", "methods", "overview", "provenance"}
_NOISE_COLUMNS = ("Metric", "This run", "Other batches, same draws", "Other draws")
_NOISE_NOTE = (
    "Every audit was run twice more. What other batches move is arithmetic, what other draws move is sampling: a"
    " difference between two models that is no larger shows nothing."
)


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check as a row of a table."""

    record: Record
    status: Status
    anchor: str
    """Of the section that shows its audit."""
    fails_run: bool


@dataclass(frozen=True, slots=True)
class EstimateRow:
    """One estimate, with the check that judges it."""

    estimate: EstimateRecord
    check: Record | None


@dataclass(frozen=True, slots=True)
class Section:
    """One audit, with all that the report says about it."""

    anchor: str
    """Name of the section in the page and of its files: unique, of small letters, digits, dots, underscores, dashes."""
    audit: AuditRecord
    checks: tuple[CheckRow, ...]
    estimates: tuple[EstimateRow, ...]

    @property
    def noise(self) -> Table | None:
        """How much each estimate moved when the same model was asked again."""
        if not self.audit.noise:
            return None
        rows = tuple((found.metric, found.value, found.other_batches, found.other_draws) for found in self.audit.noise)
        return Table("Noise floor (A/A): the same model asked again", _NOISE_COLUMNS, rows, _NOISE_NOTE)

    @property
    def worst(self) -> Status | None:
        """The most urgent status among the checks."""
        return self.checks[0].status if self.checks else None


def sections(run: Run) -> tuple[Section, ...]:
    """Cut a run into its audits, in the order of the plan.

    An audit that came to nothing (skipped, or broken before it measured) has records and no AuditRecord; it gets its
    section too, so that no check is without a place.
    """
    audits = sorted(run.audits, key=lambda audit: audit.order)
    known = {(audit.suite, audit.audit) for audit in audits}
    for record in sorted(run.records, key=lambda record: record.order):
        if (record.suite, record.audit) not in known:
            known.add((record.suite, record.audit))
            audits.append(_unmeasured(record))
    anchors = _anchors(audits)
    return tuple(_section(run, audit, anchor) for audit, anchor in zip(audits, anchors, strict=True))


def check_rows(parts: Iterable[Section]) -> list[CheckRow]:
    """Return the checks of all sections, the most urgent first, then in the order of the plan."""
    return _sorted(row for part in parts for row in part.checks)


def _unmeasured(record: Record) -> AuditRecord:
    return AuditRecord(
        id=f"{record.suite}/{record.audit}",
        suite=record.suite,
        audit=record.audit,
        kind=record.kind,
        question="",
        order=record.order,
    )


def _section(run: Run, audit: AuditRecord, anchor: str) -> Section:
    day = run.started[:10]
    records = [record for record in run.records if (record.suite, record.audit) == (audit.suite, audit.audit)]
    checks = {record.metric: record for record in records}
    return Section(
        anchor=anchor,
        audit=audit,
        checks=tuple(
            _sorted(CheckRow(record, status(record, day), anchor, fails_run(record, day)) for record in records)
        ),
        estimates=tuple(EstimateRow(estimate, checks.get(estimate.metric)) for estimate in audit.estimates),
    )


def _sorted(rows: Iterable[CheckRow]) -> list[CheckRow]:
    ranks = list(STATUSES)
    return sorted(rows, key=lambda row: (ranks.index(row.status), row.record.order))


def _anchors(audits: Iterable[AuditRecord]) -> list[str]:
    found: list[str] = []
    for audit in audits:
        words = re.findall(r"[a-z0-9._]+", f"{audit.suite}-{audit.audit}".lower())
        stem = name = "-".join(words)[:_MAX_NAME].strip("-.") or "audit"
        while name in found or name in _TAKEN:
            name = f"{stem}-{1 + sum(other.startswith(stem) for other in found)}"
        found.append(name)
    return found
