"""What a session says on the terminal: a header line, a word per check, one section at the end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from llmaudit.pytest_plugin.options import Settings
from llmaudit.records import Record
from llmaudit.report.format import NOTHING, interval
from llmaudit.report.words import STATUSES, Status, banners, limit, status, tally_sentence
from llmaudit.run import Run

__all__ = ["header", "status_words", "summarise"]

_COLOURS: dict[Status, str] = {
    "fail": "red",
    "error": "red",
    "inconclusive": "yellow",
    "waived": "yellow",
    "pass": "green",
}


def header(settings: Settings, suites: int, workers: int = 1) -> list[str]:
    """Say what is about to be audited, and what cannot be where several workers share the machine."""
    many = f"{suites} suite{'s' if suites > 1 else ''}"
    smoke = ", smoke run: nothing is judged" if settings.smoke else ""
    model = settings.model or "(none)"
    told = [f"llmaudit: model {model}, engine {settings.engine}, seed {settings.seed}, {many}{smoke}"]
    # The controller knows the names of the checks only, not which kind they are of.
    shared = f"llmaudit: {workers} workers share the machine: audits that measure time or memory are skipped"
    return told + ([shared] if workers > 1 else [])


def status_words(record: dict[str, Any]) -> tuple[str, str, str | tuple[str, dict[str, bool]]] | None:
    """Return category, letter and word of a check for pytest, or None to leave them to pytest."""
    verdict, role = record["verdict"], record["role"]
    if verdict == "inconclusive" and role == "confirmatory":
        return "inconclusive", "i", ("INCONCLUSIVE", {"yellow": True})
    if verdict == "measured":
        return "passed", ".", "MEASURED"
    if role == "exploratory":
        # What is only explored never fails a run, whatever it finds.
        return "passed", ".", f"EXPLORED ({verdict})"
    return None


def summarise(terminal: Any, run: Run, report: Path | None) -> None:
    """Write every verdict, failures first, and where the report is."""
    terminal.ensure_newline()
    terminal.section("llmaudit", sep="=", cyan=True)
    day = run.started[:10]
    order = list(STATUSES)
    records = sorted(run.records, key=lambda record: (order.index(status(record, day)), record.order))
    rows = [_cells(record, status(record, day)) for record in records]
    widths = [
        max((len(row[column]) for row in rows if row[column + 1 :] or column < 2), default=0) for column in range(5)
    ]
    for record, row in zip(records, rows, strict=True):
        name = status(record, day)
        markup = {_COLOURS[name]: True} if name in _COLOURS and record.role == "confirmatory" else {}
        terminal.write(row[0].ljust(widths[0]), **markup)
        terminal.write_line(
            "  ".join(["", *(cell.ljust(width) for cell, width in zip(row[1:], widths[1:], strict=False))]).rstrip()
        )
    for record in records:
        if status(record, day) in {"fail", "inconclusive"} and record.role == "confirmatory":
            terminal.write_line(f"  {record.audit}::{record.check}: {_first_line(record.reason)}")
    for banner in (*banners(run), *run.notes):
        terminal.write_line(banner, yellow=True)
    terminal.write_line(tally_sentence(run))
    if report is not None:
        terminal.write_line(f"report: {os.path.relpath(report)}", bold=True)


def _cells(record: Record, name: Status) -> tuple[str, ...]:
    estimate = record.estimate
    label = STATUSES[name].word.upper() + (" (exploratory)" if record.role == "exploratory" else "")
    place = f"{record.audit}::{record.check}"
    if estimate is None:
        return label, place, _first_line(record.reason)
    bound = limit(record)
    return (
        label,
        place,
        interval(estimate.value, estimate.low, estimate.high),
        f"n={estimate.n}" if estimate.deterministic else f"n={estimate.n}/{estimate.clusters}",
        "" if bound == NOTHING else f"limit {bound}",
    )


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
