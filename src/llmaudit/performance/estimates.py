"""Absolute numbers of each arm: means over launches, percentiles, and what is exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from llmaudit.audit import Metric
from llmaudit.engines.launches import LaunchResult, Timed, Workload
from llmaudit.facets import Facet, absent, declared, exact, faceted, joint_level, mean, together
from llmaudit.gaps import LEVEL
from llmaudit.performance.observations import Observations, Reading, timed, vector
from llmaudit.performance.readings import (
    ARM_METRICS,
    CELL_METRICS,
    QUANTILES,
    arm_reading,
    cell_reading,
    parameter_bytes,
)
from llmaudit.stats import clustered_quantile_interval, independent_values, pooled_quantile, quantile_needs
from llmaudit.types import Estimate

__all__ = ["absolute_estimates", "absolute_metrics", "averaged", "cell_name"]

_EXACT: Mapping[str, Metric] = {
    "parameter_bytes": Metric("bytes that the weights hold in memory", "bytes", "lower", deterministic=True),
    "kv_bytes_per_token": Metric(
        "growth of the key-value cache, fitted over lengths", "bytes per token", "lower", deterministic=True
    ),
    "kv_error": Metric(
        "growth of the key-value cache over 2 x layers x kv heads x head size x bytes, minus 1: its size",
        "proportion",
        "lower",
        deterministic=True,
    ),
}
_LARGEST = Metric("largest batch that fits into memory as it was free", "texts", "higher", deterministic=True)
_TAILS = {"ttft": "time to the first token", "itl": "time between two tokens"}
#: Those that need what the device can do at most.
_OF_CEILINGS = frozenset({"mbu", "mfu"})
#: What a machine without such a device, counter or sensor has in place of a number.
_UNKNOWN = "n/a: this machine does not tell"


def cell_name(arm: str, workload: Workload) -> str:
    """The facet of an arm under a workload: `model.b1-p64-n16`."""
    return f"{arm}.{workload.name}"


def absolute_metrics(arms: Sequence[str], workloads: Sequence[Workload], *, largest: bool) -> dict[str, Metric]:
    """Every metric that has a number for each arm by itself."""
    cells = [cell_name(arm, workload) for arm in arms for workload in workloads]
    found: dict[str, Metric] = {}
    for name, metric in {**CELL_METRICS, **_tail_metrics()}.items():
        found |= declared(name, metric, cells)
    for name, metric in {**ARM_METRICS, **_EXACT, **({"largest_batch": _LARGEST} if largest else {})}.items():
        found |= declared(name, metric, list(arms))
    return found


def absolute_estimates(
    seen: Observations, arms: Sequence[str], workloads: Sequence[Workload], *, largest: bool
) -> dict[str, Estimate]:
    """Estimate every metric of `absolute_metrics`; what this machine does not tell says so."""
    cells = [(arm, workload) for arm in arms for workload in workloads]
    found: dict[str, Estimate] = {}
    for name, metric in CELL_METRICS.items():
        facets = {cell_name(arm, workload): _cell(seen, arm, workload, name, len(cells)) for arm, workload in cells}
        found |= faceted(name, metric, facets)
    for name, metric in _tail_metrics().items():
        stem, _, quantile = name.rpartition("_")
        facets = {
            cell_name(arm, workload): _tail(seen, arm, workload, (stem, quantile), len(cells))
            for arm, workload in cells
        }
        found |= faceted(name, metric, facets)
    for name, metric in ARM_METRICS.items():
        steady = name.startswith("memory_")
        facets = {arm: averaged(seen, arm, arm_reading(name), len(arms), loud=not steady) for arm in arms}
        found |= faceted(name, metric, facets)
    for name, metric in {**_EXACT, **({"largest_batch": _LARGEST} if largest else {})}.items():
        found |= faceted(name, metric, {arm: _fact(seen, arm, name) for arm in arms})
    return found


def averaged(seen: Observations, arm: str, read: Reading, together_with: int, *, loud: bool = True) -> Facet:
    """The mean over launches of what each of them says, one of several facets; `loud`: others would disturb it."""
    if reason := seen.absence(arm):
        return absent(reason)
    values = seen.readings(arm, read)
    if not values:
        return absent(_UNKNOWN)
    facet = mean(vector(values), together_with)
    problem = seen.few(len(values)) or (seen.loud if loud else None)
    return Facet(
        facet.value,
        facet.n,
        facet.clusters,
        facet.own,
        facet.joint,
        missing=seen.order.count(arm) - len(values),
        problem=problem,
        cluster_values=values,
    )


def _cell(seen: Observations, arm: str, workload: Workload, name: str, together_with: int) -> Facet:
    if reason := seen.absence(arm) or seen.unfit(arm, workload):
        return absent(reason)
    if name in _OF_CEILINGS and (reason := seen.lost_first(arm)):
        return absent(reason)
    return averaged(seen, arm, cell_reading(name, workload), together_with)


def _tail_metrics() -> dict[str, Metric]:
    return {
        f"{stem}_{name}": Metric(f"{words}, {100 * share:g}th percentile", "seconds", "lower")
        for stem, words in _TAILS.items()
        for name, share in QUANTILES.items()
    }


def _tail(seen: Observations, arm: str, workload: Workload, metric: tuple[str, str], together_with: int) -> Facet:
    """A percentile over all repetitions, with the launches as clusters."""
    if reason := seen.absence(arm) or seen.unfit(arm, workload):
        return absent(reason)
    stem, name = metric
    pieces = [_times(stem, timed(result, workload)) for result in seen.of(arm)]
    values = np.concatenate([np.asarray(piece, dtype=np.float64) for piece in pieces])
    launches = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
    if not values.size:
        return absent("n/a: there are no such times")
    share = QUANTILES[name]
    worth, needed = independent_values(values, launches, share), quantile_needs(share)
    own, joint = (
        clustered_quantile_interval(values, launches, share, level) for level in (LEVEL, joint_level(together_with))
    )
    few = (
        f"n too small: {values.size} times are worth {worth} independent ones, a {share:.0%} percentile needs {needed}"
    )
    return Facet(
        pooled_quantile(values, share),
        int(values.size),
        len(pieces),
        own,
        together(joint, together_with),
        missing=seen.lost(arm),
        problem=(few if worth < needed else None) or seen.few(len(pieces)) or seen.loud,
        details={"effective sample size": float(worth)},
    )


def _times(stem: str, found: Timed | None) -> list[float]:
    """All times of a launch that a percentile is taken of."""
    repetitions = found.repetitions if found else ()
    if stem == "ttft":
        return [repetition.ttft for repetition in repetitions]
    return [step for repetition in repetitions for step in repetition.steps]


def _fact(seen: Observations, arm: str, name: str) -> Facet:
    if reason := seen.absence(arm):
        return absent(reason)
    results = seen.of(arm)
    if name == "parameter_bytes":
        return _exact(map(parameter_bytes, results))
    if reason := seen.lost_first(arm):
        return absent(reason)
    if name == "largest_batch":
        return _largest(results)
    slope = next((_slope(result.cache) for result in results if len(result.cache) > 1), None)
    if slope is None or name == "kv_bytes_per_token":
        return absent("n/a: the model keeps no cache that can be weighed") if slope is None else exact(slope, 1)
    shape = next((result.shape for result in results if result.shape), None)
    if shape is None:
        return absent("n/a: the sizes of the model do not say what its cache should take")
    computed = shape.cache_bytes_per_token
    return exact(abs(slope / computed - 1), 1, {"computed": float(computed)})


def _largest(results: Sequence[LaunchResult]) -> Facet:
    found = next((result.largest for result in results if result.largest), None)
    if found is None:
        return absent("n/a: the largest batch could not be searched")
    if found.bound == "time":
        return Facet(found.batch, 1, 1, problem=f"the search ran out of time: {found.batch} fit, more were not tried")
    # At its limit the search knows that so many fit; the largest is at least that.
    return exact(float(found.batch), 1, {"bound by memory": float(found.bound == "memory")})


def _exact(values: Iterable[float | None]) -> Facet:
    known = {value for value in values if value is not None}
    if not known:
        return absent(_UNKNOWN)
    if len(known) > 1:
        return Facet(max(known), len(known), 1, problem="the launches do not agree on what the weights take")
    return exact(known.pop(), 1)


def _slope(points: Sequence[tuple[int, int]]) -> float:
    """Bytes per token by least squares."""
    tokens, sizes = (np.array(column, dtype=np.float64) for column in zip(*points, strict=True))
    return float(np.polyfit(tokens, sizes, 1)[0])
