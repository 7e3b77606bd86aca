"""What one launch says of each metric: how fast it was, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from statistics import fmean, median

from llmaudit.audit import Metric
from llmaudit.engines.launches import LaunchResult, Timed, Workload
from llmaudit.performance.observations import Reading, timed

__all__ = [
    "ABSOLUTE",
    "ARM_METRICS",
    "CELL_METRICS",
    "MEMORY",
    "MIB",
    "QUANTILES",
    "arm_reading",
    "cell_reading",
    "parameter_bytes",
    "peak",
]

#: Bytes of a mebibyte.
MIB = 2**20

#: Percentiles of the first token's and the further tokens' times, by the name that a metric has.
QUANTILES: Mapping[str, float] = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}

#: What memory is called, and what that counts; a GPU's three numbers are different things.
MEMORY: Mapping[str, str] = {
    "rss": "most resident memory of the process",
    "uss": "memory that only this process has (unique set size), once loaded",
    "tensors": "most that tensors took on the device",
    "allocator": "most that the allocator held on the device",
    "process": "memory of the process on the device, libraries included",
}

#: Metrics of an arm under a workload; per launch the median over repetitions, where nothing else is said.
CELL_METRICS: Mapping[str, Metric] = {
    "ttft": Metric("time to the first token", "seconds", "lower"),
    "tpot": Metric("time per output token after the first", "seconds", "lower"),
    "itl": Metric("mean time between two tokens, over all steps", "seconds", "lower"),
    "prefill_rate": Metric("prompt tokens read per second", "tokens/s", "higher"),
    "decode_rate": Metric("tokens written per second after the first", "tokens/s", "higher"),
    "request_rate": Metric("texts finished per second", "requests/s", "higher"),
    "character_rate": Metric("characters written per second, reading included", "characters/s", "higher"),
    "byte_rate": Metric("bytes of text written per second, reading included", "bytes/s", "higher"),
    "mbu": Metric("bytes that a step must read per second, over the measured bandwidth", "proportion", "higher"),
    "mfu": Metric("operations that reading needs per second, over the measured peak", "proportion", "higher"),
    "joules_per_token": Metric("energy of the device per token written", "joules", "lower"),
}
#: Metrics of an arm.
ARM_METRICS: Mapping[str, Metric] = {
    "load_seconds": Metric("from files to a model that is ready", "seconds", "lower"),
    **{f"memory_{name}": Metric(what, "MiB", "lower") for name, what in MEMORY.items()},
}
#: Metrics of a machine: a limit on one holds for no other.
ABSOLUTE = frozenset(
    {
        *(name for name in CELL_METRICS if name not in {"mbu", "mfu"}),
        *(f"{name}_{quantile}" for name in ("ttft", "itl") for quantile in QUANTILES),
        *("load_seconds", "largest_batch", "batch_slope", "batch_knee", "prompt_slope", "prompt_knee"),
    }
)

_Rate = Callable[[Timed], float | None]


def cell_reading(metric: str, workload: Workload) -> Reading:
    """Return what reads a metric of CELL_METRICS off a launch."""
    if metric == "mbu":
        return partial(_bandwidth_used, workload=workload)
    if metric == "mfu":
        return partial(_operations_used, workload=workload)
    return partial(_of_times, rate=_TIMES[metric], workload=workload)


def arm_reading(metric: str) -> Reading:
    """Return what reads a metric of ARM_METRICS off a launch."""
    if metric == "load_seconds":
        return _load_seconds
    return partial(peak, name=metric.removeprefix("memory_"))


def peak(result: LaunchResult, name: str) -> float | None:
    """The most memory that a launch took for its workloads, in MiB, by one of the names of MEMORY.

    No system keeps the peak of a process's unique set: of that, what it was once the model was loaded.
    """
    step = "loaded" if name == "uss" else "peak"
    size = result.memory.get(step, {}).get(name)
    return None if size is None else size / MIB


def parameter_bytes(result: LaunchResult) -> float | None:
    """What the weights really hold."""
    return float(result.parameter_bytes) if result.parameter_bytes else None


def cache_bytes_per_token(result: LaunchResult) -> float | None:
    """Bytes of keys and values of a token, as measured, else as computed."""
    if len(result.cache) > 1:
        (few, small), (many, large) = result.cache[0], result.cache[-1]
        return (large - small) / (many - few)
    return result.shape.cache_bytes_per_token if result.shape else None


def _load_seconds(result: LaunchResult) -> float | None:
    return result.load_seconds


def _of_times(result: LaunchResult, rate: _Rate, workload: Workload) -> float | None:
    found = timed(result, workload)
    return None if found is None else rate(found)


def _tpot(times: Timed) -> float | None:
    found = [tpot for repetition in times.repetitions if (tpot := repetition.tpot) is not None]
    return median(found) if found else None


def _ttft(times: Timed) -> float:
    return median(repetition.ttft for repetition in times.repetitions)


def _seconds(times: Timed) -> float:
    return median(repetition.seconds for repetition in times.repetitions)


def _steps(times: Timed) -> float | None:
    steps = [step for repetition in times.repetitions for step in repetition.steps]
    return fmean(steps) if steps else None


def _per(amount: float, seconds: float | None) -> float | None:
    return amount / seconds if seconds else None


_TIMES: Mapping[str, _Rate] = {
    "ttft": _ttft,
    "tpot": _tpot,
    "itl": _steps,
    "prefill_rate": lambda times: _per(times.workload.batch * times.workload.prompt_tokens, _ttft(times)),
    "decode_rate": lambda times: _per(times.workload.batch, _tpot(times)),
    "request_rate": lambda times: _per(times.workload.batch, _seconds(times)),
    "character_rate": lambda times: _per(times.characters, _seconds(times)),
    "byte_rate": lambda times: _per(times.bytes, _seconds(times)),
    "joules_per_token": lambda times: (
        None if times.energy is None else times.energy / (times.workload.batch * times.workload.new_tokens)
    ),
}


def _bandwidth_used(result: LaunchResult, workload: Workload) -> float | None:
    """Model bandwidth utilisation: every step reads all weights and, on average, half of the new tokens' cache."""
    per_token, step = cache_bytes_per_token(result), _of_times(result, _tpot, workload)
    if result.ceilings is None or per_token is None or not step or not result.parameter_bytes:
        return None
    length = workload.prompt_tokens + workload.new_tokens / 2
    return (result.parameter_bytes + workload.batch * length * per_token) / step / result.ceilings.bandwidth


def _operations_used(result: LaunchResult, workload: Workload) -> float | None:
    """FLOP utilisation of reading the prompt: two operations per parameter, and attention to half of it on average."""
    rate = _of_times(result, _TIMES["prefill_rate"], workload)
    if result.ceilings is None or rate is None or not result.parameters:
        return None
    attention = result.shape.attention_flops(workload.prompt_tokens // 2) if result.shape else 0
    return (2 * result.parameters + attention) * rate / result.ceilings.flops
