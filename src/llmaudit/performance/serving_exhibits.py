"""What a report shows of a load besides its estimates, and what its reader must know."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from llmaudit.exhibits import Curve, Curves, Panel, Table
from llmaudit.performance.exchanges import Exchange
from llmaudit.performance.load import LoadParams
from llmaudit.performance.serving import LATENCIES, by_repetition, percentile

__all__ = ["remarks", "repetitions_table", "shares_figure"]

#: Above this part of the latency that is measured, the client's own lateness is worth a remark.
_LATE = 0.1
#: Above this ratio of the latencies of a repetition's last third to those of its first, the queue grows.
_GROWING = 2.0
#: Points of a curve: more do not show.
_POINTS = 200


def repetitions_table(exchanges: Sequence[Exchange], load: LoadParams) -> Table:
    """One row per repetition of the load: how many requests, how many failed, how long the others took."""
    rows = []
    for number, repetition in enumerate(by_repetition(exchanges, load), 1):
        answered = [exchange for exchange in repetition if exchange.error is None]
        medians = [_median([of(exchange) for exchange in answered]) for of in LATENCIES.values()]
        lag = max((exchange.lag for exchange in repetition), default=None)
        seconds = max((exchange.ended for exchange in repetition), default=None)
        rows.append((number, len(repetition), len(repetition) - len(answered), *medians, seconds, lag))
    columns = ("repetition", "requests", "failed", *LATENCIES, "seconds", "client late by")
    note = (
        "Medians of the requests that were answered; seconds. The last column is the largest lag of the client itself."
    )
    return Table("Repetitions of the load", columns, tuple(rows), note)


def shares_figure(exchanges: Sequence[Exchange], load: LoadParams) -> Curves:
    """The share of all requests that were served within so many seconds; those that failed are never served."""
    limits = load.goodput.limits if load.goodput is not None else {}
    panels = []
    for name, of in LATENCIES.items():
        values = sorted(value for exchange in exchanges if not math.isnan(value := of(exchange)))
        target = f", target {limits[name]:g} s" if name in limits else ""
        panels.append(Panel(f"share of requests, {name}{target}", (Curve(name, tuple(_shares(values))),)))
    return Curves("Requests served in time", "seconds", tuple(panels))


def remarks(exchanges: Sequence[Exchange], load: LoadParams) -> tuple[str, ...]:
    """Sentences without which the numbers would mislead."""
    return tuple(_remarks(exchanges, load)) if exchanges else ("No request was sent.",)


def _remarks(exchanges: Sequence[Exchange], load: LoadParams) -> Iterator[str]:
    answered = [exchange for exchange in exchanges if exchange.error is None]
    errors = Counter(exchange.error for exchange in exchanges if exchange.error is not None)
    if errors:
        (error, times), *_ = errors.most_common(1)
        yield (
            f"{errors.total()} of {len(exchanges)} requests failed, {times} of them so: {error}. They count as"
            " infinitely late in medians, percentiles and goodput."
        )
    late = percentile([exchange.lag for exchange in exchanges], 0.95)
    if late > _LATE * (typical := _median([exchange.ttft for exchange in answered]) or math.inf):
        yield (
            f"The client itself was late by {late:.3f} s or more in one of twenty requests, where the first token took"
            f" {typical:.3f} s: part of the latency is its own."
        )
    if answered and not all(exchange.counted for exchange in answered):
        yield "The server does not count its tokens: the pieces of its stream are taken for tokens."
    if whole := sum(len(exchange.times) == 1 and exchange.tokens > 1 for exchange in answered):
        yield f"{whole} of {len(answered)} answers came in one piece, so that no time per token is known of them."
    short = sum(exchange.counted and exchange.tokens != load.max_new_tokens for exchange in answered)
    if load.ignore_eos and short:
        yield (
            f"{short} of {len(answered)} answers have more or fewer than {load.max_new_tokens} tokens: the server does"
            " not honour ignore_eos, and their lengths differ."
        )
    if load.open is not None and (growth := _growth(by_repetition(answered, load))) > _GROWING:
        yield (
            f"Requests at the end of a repetition waited {growth:.1f} times as long for their first token as those at"
            f" its start: the server does not keep up with {load.open.rate:g} requests a second, and these latencies"
            " grow with the length of the load."
        )


def _growth(repetitions: Sequence[Sequence[Exchange]]) -> float:
    """Median over repetitions of how much longer the first token takes in their last third than in their first."""
    ratios = []
    for repetition in repetitions:
        waits = [exchange.ttft for exchange in repetition]
        third = len(waits) // 3
        if third and (before := float(np.median(waits[:third]))) > 0:
            ratios.append(float(np.median(waits[-third:])) / before)
    return float(np.median(ratios)) if ratios else 0.0


def _median(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return float(np.median(known)) if known else None


def _shares(values: Sequence[float]) -> Iterator[tuple[float, float, None, None]]:
    """Points of the empirical distribution; it ends below 1 where requests failed."""
    step = max(1, len(values) // _POINTS)
    for place in range(step - 1, len(values), step):
        if math.isfinite(values[place]):
            yield values[place], (place + 1) / len(values), None, None
