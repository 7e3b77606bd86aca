"""The largest batch that fits a device: doubled until one does not, then bisected, and never by force."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch

from llmaudit.engines.hf.devices import Device
from llmaudit.engines.hf.memory import attempt, release
from llmaudit.engines.hf.timing import Prompts, Stopwatch
from llmaudit.engines.launches import Largest, Shape, Workload

__all__ = ["find_largest", "has_room", "search"]

#: Seconds that all tries may take together.
_SECONDS = 10.0
#: Of what is free on the host, how much a try may be expected to take; the rest is for whoever else needs some.
_SHARE = 0.7

#: What a try says: it fits, it does not, or there is no time left to know.
Try = Callable[[int], bool | None]


def search(fits: Try, limit: int) -> Largest:
    """Find the largest batch of at most `limit` that fits, by doubling and then bisection: O(log limit) tries.

    What fits is taken to fit in every smaller batch. Raises ValueError for a limit below 1.
    """
    if limit < 1:
        raise ValueError(f"the search for the largest batch ends at {limit}; expected at least 1")
    tried: dict[int, bool] = {}
    good, bad = 0, limit + 1
    while bad - good > 1:
        # Doubling as long as nothing is known to fail: a try near a limit that is far too high would cost most.
        batch = min(max(1, 2 * good), limit) if bad > limit else (good + bad) // 2
        answer = fits(batch)
        if answer is None:
            return Largest(good, "time", tried)
        tried[batch] = answer
        good, bad = (batch, bad) if answer else (good, batch)
    bound: Literal["limit", "memory"] = "limit" if bad > limit else "memory"
    return Largest(good, bound, tried)


def find_largest(watch: Stopwatch, prompts: Prompts, workload: Workload, seconds: float = _SECONDS) -> Largest | None:
    """Find the largest batch of a workload, up to its own; None where the system tells no peak of memory.

    On an accelerator a batch is tried, and running out of memory is caught. On a processor that would drive the machine
    into swap, or have something killed: there a batch is tried only where what the one before took, per text, leaves
    room, and else counts as one that does not fit. The search may use `seconds` in all; it does not begin a try that
    would take longer than what is left.
    """
    if watch.place.type == "cuda":
        return search(_Timed(partial(_tried, watch, prompts, workload), seconds), workload.batch)
    if not watch.device.reset_peak():
        return None
    return search(_Timed(_Guarded(watch.device, partial(_tried, watch, prompts, workload)), seconds), workload.batch)


def has_room(device: Device, place: torch.device, shape: Shape | None, workload: Workload) -> bool:
    """Whether a workload may be tried: on a processor its key-value cache alone must fit what is free.

    What else it takes is not known before it runs. An accelerator refuses what it cannot hold; a processor would swap.
    """
    if place.type == "cuda" or shape is None:
        return True
    tokens = workload.batch * (workload.prompt_tokens + workload.new_tokens)
    return tokens * shape.cache_bytes_per_token <= _SHARE * device.free()


class _Timed:
    """Tries as long as there is time, by how long a text took in the largest try so far."""

    def __init__(self, fits: Callable[[int], bool], seconds: float) -> None:
        self._fits = fits
        self._ends = time.monotonic() + seconds
        self._each = 0.0

    def __call__(self, batch: int) -> bool | None:
        started = time.monotonic()
        if started + batch * self._each > self._ends:
            return None
        answer = self._fits(batch)
        if answer:
            self._each = (time.monotonic() - started) / batch
        return answer


class _Guarded:
    """Tries only what the memory taken by the largest try so far leaves room for."""

    def __init__(self, device: Device, fits: Callable[[int], bool]) -> None:
        self._device = device
        self._fits = fits
        self._each = 0.0

    def __call__(self, batch: int) -> bool:
        release()
        if batch * self._each > _SHARE * self._device.free():
            return False
        before = self._device.memory()["rss"]
        self._device.reset_peak()
        answer = self._fits(batch)
        peak = self._device.peak()["rss"]
        if answer and before is not None and peak is not None:
            self._each = max(peak - before, 0) / batch
        return answer


def _tried(watch: Stopwatch, prompts: Prompts, workload: Workload, batch: int) -> bool:
    def work() -> Any:
        return watch.run(prompts.ids(batch, workload.prompt_tokens), workload.new_tokens)

    return attempt(work) is not None
