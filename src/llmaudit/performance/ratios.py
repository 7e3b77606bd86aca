"""Arms against the base, launch by launch: ratios of medians, paired in the order in which they ran."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from scipy import stats

from llmaudit.audit import Metric
from llmaudit.engines.launches import Workload
from llmaudit.facets import Facet, absent, declared, faceted, joint_level, together
from llmaudit.gaps import LEVEL
from llmaudit.performance.estimates import cell_name
from llmaudit.performance.observations import Array, Observations, Reading, over_workloads
from llmaudit.performance.readings import arm_reading, cell_reading, peak
from llmaudit.stats import hedges_g_paired, sign_flip, t_interval
from llmaudit.types import Estimate, Interval

__all__ = ["log_ratio", "ratio_estimates", "ratio_metrics"]

_CELLS: Mapping[str, tuple[Metric, str]] = {
    "speed_ratio": (Metric("tokens written per second, over the base's", "ratio", "higher"), "decode_rate"),
    "ttft_ratio": (Metric("time to the first token, over the base's", "ratio", "lower"), "ttft"),
}
_ARMS: Mapping[str, Metric] = {
    "load_ratio": Metric("seconds to load, over the base's", "ratio", "lower"),
    "memory_ratio": Metric("most memory (tensors on the device, else resident), over the base's", "ratio", "lower"),
}
#: Which memory is compared: the first that both arms tell.
_COMPARED = ("tensors", "rss")


def ratio_metrics(compared: Sequence[str], workloads: Sequence[Workload]) -> dict[str, Metric]:
    """The ratios of every compared arm to the base: over all workloads, and for each of them."""
    cells = [cell_name(arm, workload) for arm in compared for workload in workloads]
    found: dict[str, Metric] = {}
    for name, (metric, _) in _CELLS.items():
        found |= declared(name, metric, list(compared), *cells)
    for name, metric in _ARMS.items():
        found |= declared(name, metric, list(compared))
    return found


def ratio_estimates(
    seen: Observations, base: str, compared: Sequence[str], workloads: Sequence[Workload], seed: int
) -> dict[str, Estimate]:
    """Estimate every metric of `ratio_metrics`. A facet without a workload is the geometric mean over workloads."""
    found: dict[str, Estimate] = {}
    for name, (metric, reading) in _CELLS.items():
        reads = {workload: cell_reading(reading, workload) for workload in workloads}
        overall = over_workloads(list(reads.values()))
        arms = {arm: _ratio(seen, (base, arm), overall, len(compared), seed) for arm in compared}
        cells = {
            cell_name(arm, workload): absent(reason)
            if (reason := seen.unfit(arm, workload) or seen.unfit(base, workload))
            else _ratio(seen, (base, arm), read, 1, seed)
            for arm in compared
            for workload, read in reads.items()
        }
        found |= faceted(name, metric, arms, cells)
    for name, metric in _ARMS.items():
        read = _read_arm(seen, name)
        # What others do on the machine does not change what a process holds.
        timed = name != "memory_ratio"
        arms = {arm: _ratio(seen, (base, arm), read, len(compared), seed, timed=timed) for arm in compared}
        found |= faceted(name, metric, arms)
    return found


def log_ratio(logs: Array, together_with: int) -> tuple[float, Interval | None, Interval | None]:
    """Return exp of the mean log ratio with its t interval, by itself and as one of several; `logs` has (pairs,)."""
    own, joint = (_back(t_interval(logs, level)) for level in (LEVEL, joint_level(together_with)))
    return (math.exp(float(logs.mean())) if logs.size else math.nan), own, together(joint, together_with)


def _ratio(
    seen: Observations, arms: tuple[str, str], read: Reading, together_with: int, seed: int, *, timed: bool = True
) -> Facet:
    base, arm = arms
    if reason := seen.absence(arm) or seen.absence(base):
        return absent(reason)
    pairs = seen.paired(base, arm, read)
    if not pairs:
        return absent("n/a: this machine does not tell, or no pair of launches came back whole")
    values = {name: second / first for name, (first, second) in pairs.items()}
    logs = np.log(np.fromiter(values.values(), dtype=np.float64))
    value, own, joint = log_ratio(logs, together_with)
    return Facet(
        value,
        2 * len(values),
        len(values),
        own,
        joint,
        missing=2 * (seen.order.count(arm) - len(values)),
        p_value=sign_flip(logs, seed),
        effect_size=hedges_g_paired(logs),
        problem=seen.few(len(values), "pairs of launches") or (seen.loud if timed else None),
        cluster_values=values,
        details=_beside(np.array(list(pairs.values())), logs),
    )


def _beside(pairs: Array, logs: Array) -> dict[str, float]:
    """Numbers beside a ratio: the rank test that ignores the pairs, and how much launches vary; pairs (pairs, 2)."""
    first, second = pairs.T
    found = {"Mann-Whitney p": float(stats.mannwhitneyu(second, first).pvalue)}
    return found | ({"sd of the log ratio": float(logs.std(ddof=1))} if logs.size > 1 else {})


def _read_arm(seen: Observations, name: str) -> Reading:
    if name == "load_ratio":
        return arm_reading("load_seconds")
    told = [each for each in _COMPARED if any(peak(result, each) for result in seen.results)]
    return partial(peak, name=told[0] if told else _COMPARED[-1])


def _back(interval: Interval | None) -> Interval | None:
    if interval is None:
        return None
    return Interval(math.exp(interval.low), math.exp(interval.high), interval.level, "t on log ratios of launches")
