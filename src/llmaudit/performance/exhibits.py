"""The figures and tables of an audit of performance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from llmaudit.audit import Curve, Curves, Figure, Intervals, Panel, Table
from llmaudit.engines.launches import LaunchFailure, Outcome, Workload
from llmaudit.performance.estimates import cell_name
from llmaudit.performance.observations import Observations, busy
from llmaudit.performance.readings import MEMORY, MIB
from llmaudit.performance.scaling import Series, series_of
from llmaudit.types import Estimate

__all__ = ["figures", "tables"]

Estimates = Mapping[str, Estimate]
Cells = tuple[str | float | int | None, ...]
Point = tuple[float, float | None, float | None, float | None]

_RATIOS = {
    "speed_ratio": "Tokens written per second",
    "ttft_ratio": "Time to the first token",
    "memory_ratio": "Most memory",
}


def figures(
    seen: Observations, estimates: Estimates, arms: Sequence[str], workloads: Sequence[Workload]
) -> tuple[Figure, ...]:
    """Ratios to the base, and how throughput, latency and memory grow; the base is the first arm."""
    return (*_ratios(estimates, arms, workloads), *_growth(estimates, arms, workloads), *_caches(seen, arms))


def tables(
    seen: Observations, estimates: Estimates, arms: Sequence[str], workloads: Sequence[Workload]
) -> tuple[Table, ...]:
    """Launches that were lost, first; then what each form takes, how fast it is, and every launch."""
    lost = [_lost(seen)] if seen.failures else []
    return (*lost, _forms(seen, estimates, arms), _speeds(estimates, arms, workloads), _launches(seen))


def _ratios(estimates: Estimates, arms: Sequence[str], workloads: Sequence[Workload]) -> Iterator[Figure]:
    """How far each form is from the base; of several workloads, under each of them too."""
    cells = [cell_name(arm, workload) for arm in arms[1:] for workload in workloads] if len(workloads) > 1 else []
    for metric, title in _RATIOS.items():
        known = [name for name in (*arms[1:], *cells) if f"{metric}.{name}" in estimates]
        rows = tuple((name, *_percents(estimates[f"{metric}.{name}"])) for name in known)
        if any(value is not None for _, value, *_ in rows):
            yield Intervals(f"{title}: each form beside {arms[0]}", "percent more", rows, zero=True)


def _percents(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    """A ratio with its bounds, as percent above 1."""
    value, low, high = (None if ratio is None else 100 * (ratio - 1) for ratio in _bounds(estimate))
    return value, low, high


def _growth(estimates: Estimates, arms: Sequence[str], workloads: Sequence[Workload]) -> Iterator[Figure]:
    for series in series_of(workloads):
        if series.over == "batch":
            title, axis = "Throughput over batch size", "texts side by side"
            panels = {"decode_rate": "tokens written per second", "tpot": "seconds per step"}
        else:
            title, axis = "Latency over prompt length", "prompt tokens"
            panels = {"ttft": "seconds to the first token", "prefill_rate": "prompt tokens per second"}
        drawn = tuple(
            Panel(words, tuple(_curve(estimates, metric, arm, series) for arm in arms), zero=True)
            for metric, words in panels.items()
        )
        if any(value is not None for panel in drawn for curve in panel.curves for _, value, _, _ in curve.points):
            yield Curves(title, axis, drawn, logarithmic=True)


def _curve(estimates: Estimates, metric: str, arm: str, series: Series) -> Curve:
    sizes = zip(series.sizes, series.workloads, strict=True)
    points: tuple[Point, ...] = tuple(
        (float(size), *_bounds(estimates[f"{metric}.{cell_name(arm, workload)}"])) for size, workload in sizes
    )
    return Curve(arm, points)


def _caches(seen: Observations, arms: Sequence[str]) -> Iterator[Figure]:
    """Keys and values over the length of a text: measured, so without an interval."""
    measured = {arm: next((result.cache for result in seen.of(arm) if result.cache), ()) for arm in arms}
    curves = tuple(
        Curve(arm, tuple((float(tokens), size / MIB, None, None) for tokens, size in points))
        for arm, points in measured.items()
        if points
    )
    if curves:
        yield Curves("Memory over context", "tokens of one text", (Panel("key-value cache, MiB", curves, zero=True),))


def _lost(seen: Observations) -> Table:
    rows = tuple(
        (failure.number + 1, failure.arm, failure.reason, failure.seconds, failure.message) for failure in seen.failures
    )
    return Table("Launches that gave nothing", ("launch", "form", "what", "seconds", "why"), rows, first=True)


def _forms(seen: Observations, estimates: Estimates, arms: Sequence[str]) -> Table:
    columns = {
        "load_seconds": "seconds to load",
        "parameter_bytes": "bytes of weights",
        "kv_bytes_per_token": "cache bytes per token",
        **{f"memory_{name}": f"{name}, MiB" for name in MEMORY},
        **({"largest_batch": "largest batch"} if "largest_batch" in estimates else {}),
    }
    rows = tuple(
        (
            arm,
            len(seen.of(arm)),
            seen.lost(arm),
            *(_known(estimates[f"{metric}.{arm}"].value) for metric in columns),
        )
        for arm in arms
    )
    note = (
        "Memory: rss is the most that was resident, uss what only the process had once loaded; tensors, allocator and"
        " process are three counts of a GPU's memory. Empty: this machine does not tell."
    )
    return Table("What each form takes", ("form", "launches", "lost", *columns.values()), rows, note)


def _speeds(estimates: Estimates, arms: Sequence[str], workloads: Sequence[Workload]) -> Table:
    columns = {
        "ttft": "first token, s",
        "tpot": "per token, s",
        "prefill_rate": "prompt tokens/s",
        "decode_rate": "new tokens/s",
        "request_rate": "texts/s",
        "character_rate": "characters/s",
        "byte_rate": "bytes/s",
        "mbu": "bandwidth used",
        "mfu": "operations used",
        "joules_per_token": "joules per token",
    }
    rows: tuple[Cells, ...] = tuple(
        (
            arm,
            workload.batch,
            workload.prompt_tokens,
            workload.new_tokens,
            *(_known(estimates[f"{metric}.{cell_name(arm, workload)}"].value) for metric in columns),
        )
        for arm in arms
        for workload in workloads
    )
    note = "Means over launches of their medians. Tokens are not comparable across tokenizers; characters are."
    return Table("How fast each form is", ("form", "batch", "prompt", "new", *columns.values()), rows, note)


def _launches(seen: Observations) -> Table:
    columns = ("launch", "form", "came back", "import, s", "load, s", "others used", "steady")
    note = "In the order in which they ran; others: the share of the machine that other processes used."
    return Table("The launches", columns, tuple(map(_launch, seen.outcomes)), note)


def _launch(outcome: Outcome) -> Cells:
    if isinstance(outcome, LaunchFailure):
        return outcome.number + 1, outcome.arm, outcome.reason, None, None, None, None
    steady = "yes" if all(each.steady for each in outcome.timed) else "no"
    return outcome.number + 1, outcome.arm, "yes", outcome.import_seconds, outcome.load_seconds, busy(outcome), steady


def _bounds(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    interval = estimate.interval
    return _known(estimate.value), interval.low if interval else None, interval.high if interval else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
