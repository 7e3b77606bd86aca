"""The short form of a report in Markdown: for a pull request, a chat, a terminal."""

from __future__ import annotations

import re

from llmaudit.report.against import Against, against, baseline_tally, difference, margin
from llmaudit.report.format import interval, moment, number, printable
from llmaudit.report.outline import CheckRow, check_rows, sections
from llmaudit.report.words import BASELINE_VERDICTS, STATUSES, banners, limit, tally_sentence
from llmaudit.run import Run

__all__ = ["escape_markdown", "summary_markdown"]

_COLUMNS = ("Verdict", "Check", "Estimate", "n / clusters", "Limit", "Reason")
_BASELINE_COLUMNS = ("Verdict", "Check", "Baseline", "Difference", "Margin", "Detectable", "Reason")


def summary_markdown(run: Run) -> str:
    """Return what was found, the failures first. Nothing that a model wrote is in it."""
    blocks = [
        f"# Audit of {escape_markdown(run.model.name if run.model else 'no model')}",
        f"{moment(run.started)}, seed {run.seed}, llmaudit {escape_markdown(run.llmaudit_version)}.",
        f"**{tally_sentence(run)}**",
        *(f"> {banner}" for banner in banners(run)),
        *_checks(check_rows(sections(run))),
        *_baseline(run),
        *(f"Note: {escape_markdown(note)}" for note in run.notes),
        "Everything else: `report.html` (methods, evidence, provenance), `run.json` (all data), "
        "`tables/` (CSV, LaTeX), `figures/` (SVG, PDF).",
    ]
    return "\n\n".join(blocks) + "\n"


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows as it stands, in one table cell."""
    line = " ".join(printable(text).split())
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", line)


def _checks(rows: list[CheckRow]) -> list[str]:
    if not rows:
        return []
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    return ["\n".join(lines)]


def _baseline(run: Run) -> list[str]:
    if run.baseline is None:
        return []
    rows, named = against(run), escape_markdown(f"{run.baseline.model}, run {run.baseline.run_id}")
    lines = [f"| {' | '.join(_BASELINE_COLUMNS)} |", f"|{' --- |' * len(_BASELINE_COLUMNS)}"]
    lines += [f"| {' | '.join(_baseline_cells(row))} |" for row in rows]
    return [
        f"## Against the baseline {named}",
        *(f"> Not the same measurement: {escape_markdown(what)}." for what in run.baseline.unlike),
        baseline_tally(rows),
        "\n".join(lines),
    ]


def _baseline_cells(row: Against) -> list[str]:
    record, found = row.record, row.baseline
    words = BASELINE_VERDICTS[found.verdict]
    return [
        escape_markdown(words.sign) + f" {words.word}",
        escape_markdown(f"{record.suite} / {record.audit} / {record.check}"),
        escape_markdown(number(found.value)),
        escape_markdown(difference(found)),
        escape_markdown(margin(record)),
        escape_markdown(number(found.detectable)),
        escape_markdown(found.reason),
    ]


def _cells(row: CheckRow) -> list[str]:
    record, words = row.record, STATUSES[row.status]
    estimate = record.estimate
    reason = record.reason
    if row.status == "waived" and record.waiver:
        reason += f" (accepted until {record.waiver.expires}: {record.waiver.reason})"
    return [
        escape_markdown(words.sign) + f" {words.word}",
        escape_markdown(f"{record.suite} / {record.audit} / {record.check}"),
        escape_markdown(interval(estimate.value, estimate.low, estimate.high)) if estimate else "–",
        f"{number(estimate.n)} / {number(estimate.clusters)}" if estimate else "–",
        escape_markdown(limit(record)),
        escape_markdown(reason),
    ]
