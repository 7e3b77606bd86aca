"""A run as the log of a CI system shows it: annotations, a step summary, ten lines. Nothing that a model wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from llmaudit.records import BaselineRecord, Record
from llmaudit.report.format import NOTHING, interval, number, printable
from llmaudit.report.known_issues import known_issues
from llmaudit.report.outline import CheckRow, check_rows, sections
from llmaudit.report.together import attempts_sentence, changing_checks, narrowed_sentence
from llmaudit.report.words import STATUSES, headline, limit, tally_sentence
from llmaudit.run import Run

__all__ = ["STEP_SUMMARY_BYTES", "Spot", "gate_lines", "step_summary", "workflow_commands"]

#: What GitHub keeps of the summaries of one step.
STEP_SUMMARY_BYTES = 1 << 20
#: Annotations of one level that GitHub shows of one step.
_SHOWN = 10
#: Findings that --gate-only names.
_WORST = 5

_CUT = "\n\nThe rest does not fit here: `summary.md` in the folder of the run holds all of it.\n"

Level = Literal["error", "warning", "notice"]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a check stands: a path as the CI system knows it, and a line from 1."""

    path: str
    line: int


def workflow_commands(run: Run, spots: Mapping[int, Spot]) -> list[str]:
    """Return GitHub's workflow commands: an error for each check that fails the run, a warning for each undecided one.

    A waiver that is no longer needed is a notice. `spots` are keyed by the order of the check in the plan. The most
    urgent come first, ten of a level, since no more are shown.
    """
    commands: dict[Level, list[str]] = {"error": [], "warning": [], "notice": []}
    for row in check_rows(sections(run)):
        if (level := _level(row)) is not None:
            commands[level].append(_command(level, row.record, spots.get(row.record.order)))
    return [command for found in commands.values() for command in found[:_SHOWN]]


def step_summary(markdown: str, room: int) -> str:
    """Return as much of a Markdown text as fits into `room` bytes, cut at the end of a line, and say so.

    Nothing where not even that would fit.
    """
    whole = markdown.encode("utf-8")
    if len(whole) <= room:
        return markdown
    left = room - len(_CUT.encode("utf-8"))
    if left <= 0:
        return ""
    return whole[:left].decode("utf-8", "ignore").rpartition("\n")[0] + _CUT


def gate_lines(run: Run, report: str | None, *, passed: bool, others: int = 0) -> list[str]:
    """Return at most ten lines: the verdict, the worst findings, what else must be known, where the report is.

    `passed` is what the exit status of the session says, `others` how many tests beside the checks failed in it.
    """
    models = run.model.name if run.model else "no model"
    models += f" against {run.baseline.model}" if run.baseline else ""
    beside = f" {others} other test{'' if others == 1 else 's'} failed." if others else ""
    verdict = "passed" if passed else "failed"
    failing = [row for row in check_rows(sections(run)) if row.fails_run]
    lines = [f"gate {verdict}: {printable(models)}: {tally_sentence(run)}{beside}"]
    lines += [f"  {_finding(row)}" for row in failing[:_WORST]]
    if len(failing) > _WORST:
        lines.append(f"  and {len(failing) - _WORST} more")
    lines += _remarks(run)
    return [*lines, f"report: {report}"] if report is not None else lines


def _level(row: CheckRow) -> Level | None:
    if row.fails_run:
        return "error"
    if row.record.role == "exploratory":
        return None
    if row.status == "inconclusive":
        return "warning"
    return "notice" if row.status == "waived" or (row.status == "pass" and row.record.waiver) else None


def _command(level: Level, record: Record, spot: Spot | None) -> str:
    title = f"{record.audit}::{record.check} {record.verdict}"
    place = f"file={_property(spot.path)},line={spot.line}," if spot else ""
    return f"::{level} {place}title={_property(title)}::{_data(_message(record))}"


def _message(record: Record) -> str:
    if record.waiver and record.verdict == "pass":
        return f"{headline(record)}; its waiver is no longer needed"
    if record.waiver and record.verdict == "fail":
        return f"{headline(record)}; accepted until {record.waiver.expires}: {record.waiver.reason}"
    # What comes after the first line of an error is a traceback.
    return headline(record).strip().partition("\n")[0]


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _finding(row: CheckRow) -> str:
    record, estimate = row.record, row.record.estimate
    name = f"{STATUSES[row.status].word.upper()} {record.audit}::{record.check}"
    if estimate is None:
        return f"{name}: {printable(record.reason).strip().partition(chr(10))[0]}"
    bound = "" if (text := limit(record)) == NOTHING else f", limit {text}"
    shift = "" if record.baseline is None else _shift(record.baseline)
    return f"{name} {interval(estimate.value, estimate.low, estimate.high)} {estimate.unit}{bound}{shift}"


def _shift(baseline: BaselineRecord) -> str:
    if baseline.margin is None or baseline.difference is None:
        return ""
    found = interval(baseline.difference, baseline.low, baseline.high)
    return f"; against the baseline {baseline.verdict}: {found}, margin {number(baseline.margin)}"


def _remarks(run: Run) -> Iterator[str]:
    """Yield at most two lines: on what is accepted, and on how far the run can be trusted as a gate."""
    issues = known_issues(run)
    needless = sum(issue.needless for issue in issues)
    if issues:
        first = issues[0]
        gone = f"; {needless} no longer needed" if needless else ""
        yield f"waivers: {len(issues)}, the first until {first.waiver.expires} ({first.days_left:,} days left){gone}"
    doubts = [
        "a smoke run judges nothing" if run.smoke else "",
        "" if run.complete else "the run is incomplete",
        "the run is narrowed" if narrowed_sentence(run) else "",
        f"attempt {run.attempts[-1].number}" if attempts_sentence(run) else "",
        "verdicts differ between attempts" if changing_checks(run) else "",
    ]
    if any(doubts):
        yield f"note: {', '.join(filter(None, doubts))}"
