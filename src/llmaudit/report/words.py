"""The words of the report: verdicts, directions, limits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from llmaudit.records import BaselineVerdict, Record
from llmaudit.report.format import NOTHING, interval, number
from llmaudit.report.together import look_sentences, narrowed_sentence
from llmaudit.run import Run
from llmaudit.types import Better

__all__ = [
    "BASELINE_VERDICTS",
    "DIRECTIONS",
    "STATUSES",
    "BaselineWords",
    "Status",
    "StatusWords",
    "banners",
    "fails_run",
    "headline",
    "limit",
    "status",
    "tally",
    "tally_sentence",
]

#: What the report calls the outcome of a check: an outcome, or a failure that is accepted for now.
Status = Literal["fail", "error", "inconclusive", "waived", "pass", "measured", "skipped"]


@dataclass(frozen=True, slots=True)
class StatusWords:
    """How a status is shown: a word and a sign, so that no one has to tell colours apart."""

    word: str
    sign: str
    meaning: str


#: Every status, the most urgent first: the order of every list of checks.
STATUSES: dict[Status, StatusWords] = {
    "fail": StatusWords("failed", "✗", "the interval lies wholly on the bad side of the limit"),
    "error": StatusWords("error", "!", "the check could not be carried out; this says nothing about the model"),
    "inconclusive": StatusWords("inconclusive", "?", "the data do not decide; neither good nor bad is shown"),
    "waived": StatusWords("waived", "~", "failed, and accepted until a date for a stated reason"),
    "pass": StatusWords("passed", "✓", "the interval lies wholly on the good side of the limit"),
    "measured": StatusWords("measured", "•", "reported without a judgement"),
    "skipped": StatusWords("skipped", "–", "not run, for a stated reason"),
}


@dataclass(frozen=True, slots=True)
class BaselineWords:
    """How a verdict against the baseline is shown."""

    word: str
    sign: str
    colour: Status
    """The status whose colour it has."""


#: Every verdict against a baseline, the most urgent first.
BASELINE_VERDICTS: dict[BaselineVerdict, BaselineWords] = {
    "worse": BaselineWords("worse", "✗", "fail"),
    "inconclusive": BaselineWords("inconclusive", "?", "inconclusive"),
    "not compared": BaselineWords("not compared", "–", "skipped"),
    "equivalent": BaselineWords("equivalent", "=", "pass"),
    "better": BaselineWords("better", "✓", "pass"),
    "measured": BaselineWords("measured", "•", "measured"),
}

DIRECTIONS: dict[Better, str] = {
    "lower": "lower is better",
    "higher": "higher is better",
    "zero": "zero is best",
}


def status(record: Record, day: str) -> Status:
    """Return what a check counts as on a day (YYYY-MM-DD): a failure is waived until its waiver expires."""
    if record.verdict == "fail" and record.waiver is not None and day < record.waiver.expires:
        return "waived"
    return record.verdict


def fails_run(record: Record, day: str) -> bool:
    """Return whether this record is a reason for the run to fail."""
    return record.gates and status(record, day) in {"fail", "error", "inconclusive"}


def tally(run: Run) -> list[tuple[Status, int]]:
    """Count the records of a run by status, the most urgent first, those that occur only."""
    found = Counter(status(record, run.started[:10]) for record in run.records)
    return [(name, found[name]) for name in STATUSES if found[name]]


def tally_sentence(run: Run) -> str:
    """Say how many checks came out how."""
    if not run.records:
        return "No check was run."
    total = len(run.records)
    counted = ", ".join(f"{count} {STATUSES[name].word}" for name, count in tally(run))
    return f"{total} check{'s' if total > 1 else ''}: {counted}."


def banners(run: Run) -> list[str]:
    """Say what a reader must know before anything else."""
    found = []
    if run.smoke:
        found.append("Smoke run: nothing is judged. Two requests per cell were asked, to prove that everything runs.")
    if not run.complete:
        found.append(f"Incomplete run: {len(run.records)} of {len(run.plan)} planned checks have a result.")
    if narrowed := narrowed_sentence(run):
        found.append(narrowed)
    return [*found, *look_sentences(run)]


def limit(record: Record) -> str:
    """Write the limit of a check in words."""
    low, high = record.limit.min, record.limit.max
    estimate = record.estimate
    signed = estimate is not None and estimate.better == "zero"
    exact = estimate is not None and estimate.deterministic
    if low is not None and high is not None:
        return f"{'size ' if signed else ''}between {number(low)} and {number(high)}"
    if high is not None:
        return f"within ±{number(high)}" if signed else f"{'at most' if exact else 'below'} {number(high)}"
    if low is not None:
        return f"{'outside ±' if signed else 'at least ' if exact else 'above '}{number(low)}"
    return NOTHING


def headline(record: Record) -> str:
    """Say in one line what a check found: value, interval, size, limit and reason."""
    estimate = record.estimate
    if estimate is None:
        return f"{record.check}: {record.reason}"
    found = interval(estimate.value, estimate.low, estimate.high)
    size = f"n={estimate.n}" if estimate.deterministic else f"n={estimate.n} in {estimate.clusters} clusters"
    limited = "" if (text := limit(record)) == NOTHING else f", limit {text}"
    return f"{record.verdict}: {record.check} = {found} {estimate.unit} ({size}{limited}): {record.reason}"
