"""Contenders of one job, timed by turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks import table

__all__ = ["Contender", "Result", "Timed", "race"]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do a job."""

    name: str
    warm_up: Callable[[], object]
    """Loads what is to be loaded and does a little of the work; not timed."""
    work: Callable[[int], int]
    """Does the work of one repetition, counted from 0; returns the number of items done."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One repetition."""

    seconds: float
    items: int

    @property
    def rate(self) -> float:
        """Items per second."""
        return self.items / self.seconds


@dataclass(slots=True)
class Result:
    """What became of a contender."""

    name: str
    timed: list[Timed] = field(default_factory=list)
    failure: str | None = None
    """Why it could not run, or not to the end."""

    @property
    def rate(self) -> float:
        """The median over the repetitions, in items per second."""
        return statistics.median(timed.rate for timed in self.timed)

    def line(self, job: str) -> str:
        """The contender's row of the table."""
        name = f"{job}: {self.name}"
        if self.failure is not None:
            return table.row_without_numbers(name, self.failure)
        seconds = sum(timed.seconds for timed in self.timed)
        return table.row(name, seconds, sum(timed.items for timed in self.timed), self.rate)


def race(job: str, contenders: Sequence[Contender], repetitions: int) -> dict[str, Result]:
    """Time every contender in every repetition, and print its row when it is through.

    Repetition 1 of each comes first, then repetition 2 of each, so that a machine that slows down slows all of them;
    each repetition starts with the next contender, so that none always runs on what another has left behind.
    """
    results = {contender.name: Result(contender.name) for contender in contenders}
    for contender in contenders:
        _warm_up(job, contender, results[contender.name])
    for repetition in range(repetitions):
        first = repetition % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            result = results[contender.name]
            if result.failure is None:
                _time(job, contender, result, repetition)
                if result.failure is not None or repetition == repetitions - 1:
                    table.report(result.line(job))
    return results


def _warm_up(job: str, contender: Contender, result: Result) -> None:
    table.progress(f"{job}: {contender.name}: warm-up")
    try:
        contender.warm_up()
    except Exception as error:  # noqa: BLE001 - whatever ails one peer, the others are still to be compared
        result.failure = _reason(error)
        table.report(result.line(job))


def _time(job: str, contender: Contender, result: Result, repetition: int) -> None:
    started = time.perf_counter()
    try:
        items = contender.work(repetition)
    except Exception as error:  # noqa: BLE001 - see _warm_up
        result.failure = f"in repetition {repetition + 1}: {_reason(error)}"
        return
    timed = Timed(time.perf_counter() - started, items)
    result.timed.append(timed)
    table.progress(
        f"{job}: {contender.name}: repetition {repetition + 1}: {timed.items} items in {timed.seconds:.2f} s"
    )


def _reason(error: Exception) -> str:
    first, *_ = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
