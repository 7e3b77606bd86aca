"""The figures that the comparison ends in, each beside its target."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.contest import Result

__all__ = ["TARGETS", "Figure", "Outcome", "Target", "best", "last_line", "missing", "ratio"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should reach."""

    limit: float
    at_least: bool
    """Whether larger is better."""
    unit: str = ""

    def verdict(self, value: float) -> str:
        """Say whether a value meets the target, or by how much it misses."""
        sense = "at least" if self.at_least else "at most"
        met = value >= self.limit if self.at_least else value <= self.limit
        distance = abs(value - self.limit)
        miss = f"missed by {distance:.3g}{self.unit} ({distance / self.limit:.0%})"
        return f"target {sense} {self.limit:g}{self.unit}: {'met' if met else miss}"


#: Every figure of the last line, in its order. The reasons for the numbers are in benchmarks/README.md.
TARGETS: Mapping[str, Target] = {
    "generate_vs_naive": Target(25, at_least=True),
    "generate_vs_batched": Target(1.7, at_least=True),
    "loglikelihood_vs_lm_eval_best": Target(1.6, at_least=True),
    "loglikelihood_vs_lm_eval_1": Target(4, at_least=True),
    "loglikelihood_max_difference": Target(0.001, at_least=False, unit=" nats"),
    "mixed_settings_vs_separate": Target(3, at_least=True),
    "tokenization_seconds": Target(10, at_least=False, unit=" s"),
    "overhead_share": Target(0.05, at_least=False),
    "plugin_startup_ms": Target(30, at_least=False, unit=" ms"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure."""

    value: float | None
    note: str
    """How it came about; where there is no value, why not."""

    def line(self, key: str) -> str:
        """The figure for a reader, with its target."""
        if self.value is None:
            return f"{key:<29} not measured: {self.note}"
        target = TARGETS[key]
        return f"{key:<29} {self.value:>9.4g}{target.unit}  {target.verdict(self.value)}  ({self.note})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job ends in."""

    figures: Mapping[str, Figure]
    lines: Sequence[str] = ()
    """Further lines for a reader: floors, and what keeps from them."""


def ratio(ours: Result, theirs: Result) -> Figure:
    """How many times as many items per second, by the medians of the repetitions."""
    for result in (ours, theirs):
        if result.failure is not None:
            return Figure(None, f"{result.name} failed: {result.failure}")
    ratios = [mine.rate / other.rate for mine, other in zip(ours.timed, theirs.timed, strict=True)]
    note = (
        f"{ours.name} {ours.rate:.4g}, {theirs.name} {theirs.rate:.4g} items/s; {min(ratios):.3g} to {max(ratios):.3g}"
        f" over {len(ratios)} repetitions"
    )
    return Figure(ours.rate / theirs.rate, note)


def best(results: Iterable[Result]) -> Result:
    """Return the fastest of those that ran; where none did, the first."""
    candidates = list(results)
    ran = [result for result in candidates if result.failure is None]
    return max(ran, key=lambda result: result.rate) if ran else candidates[0]


def missing(figures: Mapping[str, Figure], why: str) -> dict[str, Figure]:
    """Return all figures in their order, with `why` at those that are not there."""
    return {key: figures.get(key, Figure(None, why)) for key in TARGETS}


def last_line(figures: Mapping[str, Figure]) -> str:
    """The line for machines: four significant digits, null where there is no figure."""
    values = {key: figures[key].value for key in TARGETS}
    rounded = {key: None if value is None else float(f"{value:.4g}") for key, value in values.items()}
    return f"ratios: {json.dumps(rounded, allow_nan=False)}"
