"""Known issues: the findings that a run accepts for now, in sight until they are gone."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from llmaudit.audit import Table
from llmaudit.records import Outcome, Record, Waiver
from llmaudit.run import Run

__all__ = ["KnownIssue", "known_issues", "known_issues_table"]

_COLUMNS = ("Check", "Now", "Accepted until", "Days left", "Reason")
_NOTE = "A waiver accepts a failed check until its date. It does not cover a check that is inconclusive or broken."
_NOW: dict[Outcome, str] = {
    "fail": "fails, and is accepted",
    "pass": "passes: the waiver is no longer needed",
    "inconclusive": "inconclusive, which the waiver does not cover",
    "error": "broken, which the waiver does not cover",
    "measured": "not judged",
    "skipped": "not run",
}


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """A check with a waiver, on the day of its run."""

    record: Record
    waiver: Waiver
    days_left: int
    """From the day of the run to the day on which the waiver is an error."""

    @property
    def needless(self) -> bool:
        """Whether the check passes without its waiver."""
        return self.record.verdict == "pass"

    @property
    def now(self) -> str:
        """What the check does now, in words."""
        return _NOW[self.record.verdict]


def known_issues(run: Run) -> list[KnownIssue]:
    """Return the checks of a run that have a waiver, the one that runs out first before the others."""
    day = datetime.date.fromisoformat(run.started[:10])
    found = [
        KnownIssue(record, record.waiver, (datetime.date.fromisoformat(record.waiver.expires) - day).days)
        for record in run.records
        if record.waiver is not None
    ]
    return sorted(found, key=lambda issue: (issue.days_left, issue.record.order))


def known_issues_table(run: Run) -> Table | None:
    """Return the known issues as a table, or None where there are none."""
    rows = tuple(
        (f"{r.suite}/{r.audit}/{r.check}", issue.now, issue.waiver.expires, issue.days_left, issue.waiver.reason)
        for issue in known_issues(run)
        for r in [issue.record]
    )
    return Table("Known issues", _COLUMNS, rows, _NOTE) if rows else None
