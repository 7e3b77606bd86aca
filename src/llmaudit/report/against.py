"""A run against its baseline, as the report shows it: a forest of differences, a table, what changed item by item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from llmaudit.exhibits import Intervals
from llmaudit.records import BaselineRecord, BaselineVerdict, ChangedItems, EstimateRecord, Record
from llmaudit.report.format import NOTHING, interval, number
from llmaudit.report.words import BASELINE_VERDICTS
from llmaudit.run import Run

__all__ = ["ANCHOR", "Against", "against", "baseline_tally", "difference", "forest", "margin", "moved"]

#: Of the section in the page and of its figure.
ANCHOR = "baseline"


@dataclass(frozen=True, slots=True)
class Against:
    """One check with its comparison, the most urgent first."""

    record: Record
    baseline: BaselineRecord


def against(run: Run) -> list[Against]:
    """Return the checks of a run that have a comparison, the most urgent first, then in the order of the plan."""
    ranks = list(BASELINE_VERDICTS)
    found = [Against(record, record.baseline) for record in run.records if record.baseline is not None]
    return sorted(found, key=lambda row: (ranks.index(row.baseline.verdict), row.record.order))


def baseline_tally(rows: Sequence[Against]) -> str:
    """Say how many checks came out how against the baseline."""
    counts = Counter(row.baseline.verdict for row in rows)
    order: list[BaselineVerdict] = [verdict for verdict in BASELINE_VERDICTS if counts[verdict]]
    told = ", ".join(f"{counts[verdict]} {BASELINE_VERDICTS[verdict].word}" for verdict in order)
    return f"{len(rows)} check{'' if len(rows) == 1 else 's'} against the baseline: {told or 'none'}."


def forest(rows: Sequence[Against]) -> Intervals | None:
    """Return the differences as shares of their margins, larger being worse; None where no check has a margin."""
    found = [(row, row.record.estimate, row.baseline.margin) for row in rows]
    drawn = [_row(row, estimate, bound) for row, estimate, bound in found if estimate is not None and bound]
    if not drawn:
        return None
    signed = any(row.record.estimate is not None and row.record.estimate.better == "zero" for row in rows)
    return Intervals(
        "Differences from the baseline",
        "candidate minus baseline, as a share of the margin; larger is worse" + (", for a sign its size" * signed),
        tuple(drawn),
        zero=True,
        limits=(-1.0, 1.0) if signed else (1.0,),
    )


def difference(found: BaselineRecord) -> str:
    """Write a difference with its interval."""
    return interval(found.difference, found.low, found.high)


def margin(record: Record) -> str:
    """Write the margin of a check: as it was declared, and in the metric's unit where it was a share."""
    declared = record.limit.margin
    if declared is None:
        return NOTHING
    known = record.baseline.margin if record.baseline else None
    if isinstance(declared, str):
        return declared if known is None else f"{number(known)} ({declared} of the baseline)"
    return number(declared)


def moved(changed: ChangedItems) -> str:
    """Say how many answers changed, and how many scores rose and fell."""
    counts = f"{number(changed.answers_changed)} of {number(changed.matched)} answers differ"
    scores = f"{changed.score} rose for {number(changed.risen)} and fell for {number(changed.fallen)}"
    lone = f"; {number(changed.unmatched)} requests have no counterpart" if changed.unmatched else ""
    return f"{counts}; {scores}{lone}."


def _row(row: Against, estimate: EstimateRecord, bound: float) -> tuple[str, float | None, float | None, float | None]:
    found = row.baseline
    scale = -bound if estimate.better == "higher" else bound
    value, one, other = (
        None if number is None else number / scale for number in (found.difference, found.low, found.high)
    )
    low, high = (other, one) if scale < 0 else (one, other)
    return f"{row.record.audit}::{row.record.check}", value, low, high
