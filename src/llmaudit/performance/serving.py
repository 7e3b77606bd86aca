"""From the requests of a load to estimates: latencies, throughput and goodput of a served model.

The repetition of the load is the unit: requests of one repetition wait for each other, so that they are not
independent. Each repetition gives one number, a median or a percentile of its requests or a rate, and the interval is
that of the mean over repetitions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from llmaudit.audit import CheckParams, Metric
from llmaudit.gaps import LEVEL, MAX_MISSING, level_interval
from llmaudit.performance.exchanges import Exchange
from llmaudit.performance.load import LoadParams, Targets
from llmaudit.stats import MIN_CLUSTERS, quantile_needs
from llmaudit.types import Estimate

__all__ = [
    "LATENCIES",
    "PERCENTILES",
    "by_repetition",
    "estimates",
    "percentile",
    "serving_metrics",
    "serving_problems",
    "unreachable_limits",
]

Repetition = Sequence[Exchange]

#: Latency -> what it is of one request.
LATENCIES: Mapping[str, Callable[[Exchange], float]] = {
    "ttft": lambda exchange: exchange.ttft,
    "tpot": lambda exchange: exchange.tpot,
    "e2e": lambda exchange: exchange.e2e,
}
PERCENTILES: Mapping[str, float] = {"p90": 0.90, "p95": 0.95, "p99": 0.99}
_WORDS = {
    "ttft": "time to the first token, from the moment at which the request was due",
    "tpot": "time per output token after the first",
    "e2e": "time to the last token, from the moment at which the request was due",
}
_RATES: Mapping[str, Callable[[Exchange], int]] = {
    "requests": lambda exchange: 1,  # noqa: ARG005 - one of several of this shape
    "tokens": lambda exchange: exchange.tokens,
    "characters": lambda exchange: exchange.characters,
    "bytes": lambda exchange: exchange.bytes,
}


def serving_metrics(load: LoadParams) -> dict[str, Metric]:
    """Every metric of a load, known before anything is sent."""
    found = {name: Metric(f"{words}: median of a repetition", "s", "lower") for name, words in _WORDS.items()}
    found["itl"] = Metric("time from one piece of an answer to the next: mean over all of a repetition", "s", "lower")
    for name, share in PERCENTILES.items():
        for latency, words in _WORDS.items():
            found[f"{latency}_{name}"] = Metric(f"{words}: {share:.0%} of a repetition are at or below", "s", "lower")
    for name in _RATES:
        found[f"{name}_per_second"] = Metric(
            f"{name} answered, from the first request of a repetition to its last answer", f"{name}/s", "higher"
        )
    found["failure_rate"] = Metric("share of the requests without a whole answer", "proportion", "lower")
    if load.goodput is not None:
        targets = ", ".join(f"{name} at most {limit:g} s" for name, limit in load.goodput.limits.items())
        found["goodput"] = Metric(f"requests per second that keep to {targets}", "requests/s", "higher")
        found["goodput_share"] = Metric(f"share of the requests that keep to {targets}", "proportion", "higher")
    return found


def serving_problems(load: LoadParams) -> dict[str, str]:
    """Metric -> why this load cannot decide it: said before anything is sent."""
    if load.repetitions < MIN_CLUSTERS:
        why = f"design: {load.repetitions} repetitions, a t interval needs {MIN_CLUSTERS}: add repetitions"
        return dict.fromkeys(serving_metrics(load), why)
    expected = load.requests if load.open is None else min(load.requests, int(load.open.rate * load.seconds))
    short = {name: needs for name, share in PERCENTILES.items() if expected < (needs := quantile_needs(share))}
    return {
        f"{latency}_{name}": f"design: n too small: {name} needs {needs} requests in a repetition, not {expected}"
        for name, needs in short.items()
        for latency in LATENCIES
    }


def unreachable_limits(load: LoadParams, checks: Mapping[str, CheckParams]) -> dict[str, str]:
    """Metric -> why not even a faultless server could pass: said before anything is sent.

    C repetitions without any event bound the share of such at 1 - 0.05^(1/C) (Clopper and Pearson 1934; `gaps`).
    """
    found: dict[str, str] = {}
    for name, check in checks.items():
        # How far the limit lies from a faultless 0, or 1.
        room = {"failure_rate": check.max, "goodput_share": None if check.min is None else 1 - check.min}.get(name)
        best = level_interval("proportion", np.zeros(load.repetitions), LEVEL)
        if room is None or best is None or best.high < room:
            continue
        needed = math.floor(math.log((1 - LEVEL) / 2) / math.log(1 - room)) + 1 if 0 < room < 1 else None
        way = "no number of them can" if needed is None else f"{needed} are needed"
        found[name] = (
            f"design: {load.repetitions} repetitions bound {name} to {best.high:.2g} from faultless at best, its limit"
            f" is {room:.2g} from it: {way}"
        )
    return found


def estimates(exchanges: Sequence[Exchange], load: LoadParams) -> dict[str, Estimate]:
    """One estimate per metric of `serving_metrics`: the mean over repetitions with its t interval at 90 %."""
    repetitions = by_repetition(exchanges, load)
    known = serving_problems(load)
    return {
        name: _estimate(name, metric, [_statistics(load)[name](each) for each in repetitions], exchanges, known)
        for name, metric in serving_metrics(load).items()
    }


def by_repetition(exchanges: Sequence[Exchange], load: LoadParams) -> list[list[Exchange]]:
    """The requests of each repetition; empty for one in which none was sent."""
    found: list[list[Exchange]] = [[] for _ in range(load.repetitions)]
    for exchange in exchanges:
        found[exchange.repetition - 1].append(exchange)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least a share of all do not exceed; NaN of fewer than bound it with 95 % confidence.

    A request that failed counts as infinitely late: left out, the slowest would flatter the server.
    """
    known = sorted(value for value in values if not math.isnan(value))
    if len(known) < quantile_needs(share):
        return math.nan
    # Rounded, since 0.95 x 100 is a little more than 95.
    return known[math.ceil(round(share * len(known), 9)) - 1]


def _statistics(load: LoadParams) -> dict[str, Callable[[Repetition], float]]:
    """Metric -> what one repetition says of it."""
    found: dict[str, Callable[[Repetition], float]] = {"itl": _mean_gap, "failure_rate": _failure_rate}
    for latency, of in LATENCIES.items():
        found[latency] = partial(_median_of, of)
        for name, share in PERCENTILES.items():
            found[f"{latency}_{name}"] = partial(_percentile_of, of, share)
    for name, size in _RATES.items():
        found[f"{name}_per_second"] = partial(_rate, size)
    if load.goodput is not None:
        found["goodput"] = partial(_goodput, load.goodput)
        found["goodput_share"] = partial(_goodput_share, load.goodput)
    return found


def _median_of(latency: Callable[[Exchange], float], repetition: Repetition) -> float:
    values = [value for exchange in repetition if not math.isnan(value := latency(exchange))]
    return float(np.median(values)) if values else math.nan


def _percentile_of(latency: Callable[[Exchange], float], share: float, repetition: Repetition) -> float:
    return percentile([latency(exchange) for exchange in repetition], share)


def _mean_gap(repetition: Repetition) -> float:
    if _failure_rate(repetition) > MAX_MISSING:
        return math.inf
    gaps = [gap for exchange in repetition if exchange.error is None for gap in exchange.gaps]
    return float(np.mean(gaps)) if gaps else math.nan


def _failure_rate(repetition: Repetition) -> float:
    return float(np.mean([exchange.error is not None for exchange in repetition])) if repetition else math.nan


def _rate(size: Callable[[Exchange], int], repetition: Repetition) -> float:
    done = sum(size(exchange) for exchange in repetition if exchange.error is None)
    return done / _span(repetition) if repetition else math.nan


def _goodput(targets: Targets, repetition: Repetition) -> float:
    return _goodput_share(targets, repetition) * len(repetition) / _span(repetition) if repetition else math.nan


def _goodput_share(targets: Targets, repetition: Repetition) -> float:
    return float(np.mean([_keeps(exchange, targets) for exchange in repetition])) if repetition else math.nan


def _keeps(exchange: Exchange, targets: Targets) -> bool:
    # A single token has no time per token: nothing in it was late.
    return exchange.error is None and all(
        math.isnan(value := LATENCIES[name](exchange)) or value <= limit for name, limit in targets.limits.items()
    )


def _span(repetition: Repetition) -> float:
    """Seconds from the first request to the end of the last one: the time that it takes to fill and drain counts."""
    return max(exchange.ended for exchange in repetition) - min(exchange.sent for exchange in repetition)


def _estimate(
    name: str, metric: Metric, values: Sequence[float], exchanges: Sequence[Exchange], known: Mapping[str, str]
) -> Estimate:
    finite = np.array([value for value in values if math.isfinite(value)])
    whole = finite.size == len(values)
    return Estimate(
        metric=name,
        value=float(finite.mean()) if finite.size else math.nan,
        interval=level_interval(metric.unit, finite, LEVEL) if whole else None,
        unit=metric.unit,
        better=metric.better,
        n=len(exchanges),
        clusters=int(finite.size),
        missing=sum(exchange.error is not None for exchange in exchanges),
        problem=known.get(name) or (None if whole else _problem(name, values)),
        cluster_values={str(number): value for number, value in enumerate(values, 1) if math.isfinite(value)},
    )


def _problem(name: str, values: Sequence[float]) -> str:
    late, absent = sum(map(math.isinf, values)), sum(map(math.isnan, values))
    if late:
        return f"in {late} of {len(values)} repetitions so many requests failed that {name} is not known"
    base, _, share = name.partition("_")
    if share in PERCENTILES:
        needs = quantile_needs(PERCENTILES[share])
        return f"n too small: {absent} of {len(values)} repetitions have fewer than the {needs} requests of {share}"
    if base in {"tpot", "itl"}:
        return f"in {absent} of {len(values)} repetitions no answer came in several pieces: there is nothing to time"
    return f"in {absent} of {len(values)} repetitions no request was due: a longer time or a higher rate is needed"
