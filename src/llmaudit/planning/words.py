"""A plan as lines of text: what cannot decide first, then the costs, then every check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmaudit.planning.checks import CheckPlan
from llmaudit.planning.plan import AuditPlan, Plan
from llmaudit.planning.workload import Workload
from llmaudit.report.format import NOTHING, duration, number

__all__ = ["check_table", "plan_lines"]

_HEADINGS = {
    "no": "cannot decide",
    "doubtful": "perhaps cannot decide: the spread is assumed, and is likely to be smaller",
    "unknown": "not known whether it can decide",
}
_COSTS = ("audit", "requests", "answers", "read", "written", "scored", "stored", "time", "money")
_CHECKS = ("check", "bound", "clusters", "sd", "detectable", "distance", "power", "decides", "sd is")


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield the plan line by line."""
    yield from _undecided(plan)
    yield ""
    yield from _costs(plan)
    yield ""
    judged = [(audit, check) for audit, check in plan.ranked() if check.against != "nothing"]
    if judged:
        yield from check_table([(audit.id.rpartition("/")[2], check) for audit, check in judged])
    if rest := sum(check.against == "nothing" for _, check in plan.ranked()):
        yield f"and {_many(rest, 'check')} without a limit, reported and not judged"
    yield ""
    yield from _legend(plan)


def check_table(rows: Sequence[tuple[str, CheckPlan]]) -> Iterator[str]:
    """Yield the table of checks, each with the name of its audit or design."""
    cells = [
        (
            f"{audit}::{check.check}",
            check.bound,
            str(check.clusters),
            number(check.sd),
            number(check.detectable),
            number(check.distance),
            NOTHING if check.power is None else f"{check.power:.0%}",
            check.decides,
            check.source,
        )
        for audit, check in rows
    ]
    yield from _table([_CHECKS, *cells], left={0, 1, 7, 8})


def _undecided(plan: Plan) -> Iterator[str]:
    ranked = [pair for pair in plan.ranked() if pair[1].role == "confirmatory"]
    for decides, heading in _HEADINGS.items():
        found = [(audit, check) for audit, check in ranked if check.decides == decides]
        if not found:
            continue
        yield f"{heading}: {_many(len(found), 'check')}"
        for audit, check in found:
            yield f"  {audit.id}::{check.check} ({check.against} {check.bound}): {check.reason}"
    if ranked and all(check.decides in {"yes", "exact", "unlimited"} for _, check in ranked):
        yield "every check can decide"


def _costs(plan: Plan) -> Iterator[str]:
    totals = plan.totals
    rows = [_COSTS, *(_cost_row(audit, plan.currency) for audit in plan.audits)]
    name = _many(len(plan.audits), "audit")
    rows.append((name, *_numbers(totals.work, totals.stored, totals.seconds, totals.money, plan.currency)))
    yield from _table(rows, left={0})
    if plan.memory is not None:
        memory = plan.memory
        yield (
            f"memory: {_gib(memory.total)}, of it weights in {memory.dtype} {_gib(memory.weights)} and the cache of"
            f" {_many(memory.batch, 'longest sequence')} {_gib(memory.cache)}"
        )


def _cost_row(audit: AuditPlan, currency: str) -> tuple[str, ...]:
    return (audit.id, *_numbers(audit.work, audit.stored, audit.seconds, audit.money, currency))


def _numbers(work: Workload, stored: int, seconds: float | None, money: float | None, currency: str) -> tuple[str, ...]:
    least = "" if work.complete else "≥ "
    counts = [f"{least}{count:,}" for count in (work.requests, work.completions, work.prompt_tokens)]
    written = f"≤ {work.new_tokens:,}" if work.new_tokens else "0"
    cost = NOTHING if money is None else f"≤ {money:,.2f} {currency}".rstrip()
    time = NOTHING if seconds is None else f"{least}{duration(seconds)}"
    return (*counts, written, f"{least}{work.scored_tokens:,}", f"{stored:,}", time, cost)


def _legend(plan: Plan) -> Iterator[str]:
    yield (
        "read, written, scored: tokens by the model's own tokenizer; a model may stop before it has written all."
        " ≥: what is asked later depends on answers."
    )
    yield f"time: {plan.rates}."
    yield (
        "detectable: how far a harmless model must lie from the bound to pass 4 times in 5 (the minimum detectable"
        " effect); distance: how far it does lie; power: how often it passes."
    )
    yield from plan.notes


def _table(rows: Sequence[Sequence[str]], left: set[int]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
