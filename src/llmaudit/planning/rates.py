"""How fast a machine answers, as earlier runs of the same model measured it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llmaudit.planning.workload import Workload
from llmaudit.records import Timing
from llmaudit.run import Run

__all__ = ["UNMEASURED", "Pace", "Rates", "measured_rates", "seconds_of"]

#: The source of rates that nobody knows.
UNMEASURED = "nothing measured"


@dataclass(frozen=True, slots=True)
class Pace:
    """What one audit took the last time nothing of it was in the store."""

    requests: int
    seconds: float
    """In all: answers, scoring, statistics."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens and requests per second of waiting for the engine; None where nothing measured it."""

    generated: float | None = None
    scored: float | None = None
    other: float | None = None
    """Requests that are answered with numbers other than likelihoods, per second."""
    source: str = UNMEASURED
    paces: Mapping[str, Pace] = field(default_factory=dict)
    """By audit id."""


@dataclass(slots=True)
class _Sum:
    amount: float = 0.0
    seconds: float = 0.0

    @property
    def rate(self) -> float | None:
        return self.amount / self.seconds if self.amount and self.seconds else None


def measured_rates(runs: Iterable[Run]) -> Rates:
    """Return the rates of runs of one model on one machine, the newest first.

    Only audits count that were answered by the model and not by the store, and that asked for one sort of answer: their
    time tells what that sort takes.
    """
    generated, scored, other = _Sum(), _Sum(), _Sum()
    paces: dict[str, Pace] = {}
    used: list[str] = []
    for run in runs:
        if run.smoke:
            continue
        for audit_id, timing in run.timings.items():
            if timing.kept or not timing.requests or not timing.engine_seconds:
                continue
            paces.setdefault(audit_id, Pace(timing.requests, timing.seconds))
            _add(timing, generated, scored, other)
            used.append(run.run_id)
    many = len(dict.fromkeys(used))
    source = f"measured by {many} earlier run{'s' if many > 1 else ''}" if many else UNMEASURED
    return Rates(generated.rate, scored.rate, other.rate, source, paces)


def seconds_of(work: Workload, rates: Rates, audit_id: str, stored: int = 0) -> float | None:
    """Return the seconds that an audit will take, `stored` of its requests being answered already; None for unknown.

    By what the same audit took before, in proportion to its requests; else by rates, for the tokens that a model writes
    at most.
    """
    share = 1 - stored / work.requests if work.requests else 0.0
    pace = rates.paces.get(audit_id)
    if pace is not None:
        ratio = work.requests / pace.requests
        # Of an audit whose later requests are not foreseen, the earlier run knows more.
        return share * pace.seconds * (ratio if work.complete else max(1.0, ratio))
    parts = [(work.new_tokens, rates.generated), (work.scored_tokens, rates.scored), (work.other, rates.other)]
    known = [amount / rate if rate else None for amount, rate in parts if amount]
    return None if None in known else share * sum(part for part in known if part is not None)


def _add(timing: Timing, generated: _Sum, scored: _Sum, other: _Sum) -> None:
    tokens = timing.generated_tokens, timing.scored_tokens
    if all(tokens):
        return  # which part of the time each took cannot be told
    amount, into = (
        (tokens[0], generated) if tokens[0] else (tokens[1], scored) if tokens[1] else (timing.requests, other)
    )
    into.amount += amount
    into.seconds += timing.engine_seconds
