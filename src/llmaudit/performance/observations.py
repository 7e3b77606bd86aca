"""The launches of an experiment as they came back, by arm and by place in the order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from llmaudit.engines.launches import Ceilings, LaunchFailure, LaunchResult, Outcome, Timed, Workload
from llmaudit.performance.schedule import pairs
from llmaudit.stats import MIN_CLUSTERS

__all__ = ["MAX_DISTURBED", "Observations", "Reading", "busy", "over_workloads", "timed", "vector"]

#: Share of launches that others may disturb before the times of an audit decide nothing.
MAX_DISTURBED = 0.1

#: How many different remarks of launches are told.
_REMARKS = 6

Array = NDArray[np.float64]

#: Reads a number off a launch; None where the launch does not tell.
Reading = Callable[[LaunchResult], float | None]


@dataclass(frozen=True, slots=True)
class Observations:
    """What came of the launches."""

    order: tuple[str, ...]
    """The arm of every launch that was planned, by its number."""
    outcomes: tuple[Outcome, ...]
    """Of the launches that were made, in their order."""
    quiet: float
    """Share of the machine that others may use during a launch, in [0, 1]."""

    @classmethod
    def gathered(cls, order: Sequence[str], outcomes: Sequence[Outcome], quiet: float) -> Observations:
        """Take launches as they came back; what was measured in one launch of an arm alone holds for all of them.

        The bandwidth of memory is the most that any arm was seen to read, as it is no matter of the data type.
        """
        results = [outcome for outcome in outcomes if isinstance(outcome, LaunchResult)]
        widest = max((each.ceilings.bandwidth for each in results if each.ceilings), default=0.0)
        ceilings = {each.arm: Ceilings(widest, each.ceilings.flops) for each in results if each.ceilings}
        caches = {each.arm: each.cache for each in results if each.cache}
        shared = (
            replace(each, ceilings=ceilings.get(each.arm), cache=caches.get(each.arm, ()))
            if isinstance(each, LaunchResult)
            else each
            for each in outcomes
        )
        return cls(tuple(order), tuple(shared), quiet)

    @property
    def results(self) -> tuple[LaunchResult, ...]:
        """The launches that measured something."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, LaunchResult))

    @property
    def failures(self) -> tuple[LaunchFailure, ...]:
        """The launches that gave nothing."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, LaunchFailure))

    def of(self, arm: str) -> tuple[LaunchResult, ...]:
        """The good launches of an arm, in their order."""
        return tuple(result for result in self.results if result.arm == arm)

    def lost(self, arm: str) -> int:
        """How many launches of an arm were planned and gave nothing."""
        return self.order.count(arm) - len(self.of(arm))

    def readings(self, arm: str, read: Reading) -> dict[str, float]:
        """Launch -> number, over the good launches of an arm that tell it."""
        found = ((self.name(result), read(result)) for result in self.of(arm))
        return {name: value for name, value in found if value is not None and math.isfinite(value)}

    def name(self, result: LaunchResult) -> str:
        """What a launch is called among those of its arm."""
        return f"launch {self.order[: result.number + 1].count(result.arm):02}"

    def paired(self, first: str, second: str, read: Reading) -> dict[str, tuple[float, float]]:
        """Pair -> (number of the first arm's launch, of the second's), over the pairs of which both tell it."""
        by_number = {result.number: result for result in self.results}
        found: dict[str, tuple[float, float]] = {}
        for place, numbers in enumerate(pairs(self.order, first, second), start=1):
            values = [read(by_number[number]) if number in by_number else None for number in numbers]
            known = [value for value in values if value is not None and value > 0]
            if len(known) == 2:
                found[f"pair {place:02}"] = (known[0], known[1])
        return found

    def absence(self, arm: str) -> str | None:
        """Say why there is nothing of an arm; None where there is something."""
        if self.of(arm):
            return None
        found = [failure for failure in self.failures if failure.arm == arm]
        return f"no launch of {arm} came back: {found[0].reason}: {found[0].message}" if found else f"{arm} did not run"

    def lost_first(self, arm: str) -> str | None:
        """Say that what the first launch of an arm alone measures was lost with it; None where it came back."""
        first = next((failure for failure in self.failures if failure.number == self.order.index(arm)), None)
        return f"the first launch of {arm}, which was to measure this, gave nothing: {first.reason}" if first else None

    def unfit(self, arm: str, workload: Workload) -> str | None:
        """Say that the memory holds no such workload, where no launch of an arm could run it."""
        if not any(workload in result.unfit for result in self.of(arm)) or any(
            timed(result, workload) for result in self.of(arm)
        ):
            return None
        return f"{workload.name} does not fit the memory that {arm} was given"

    def few(self, count: int, what: str = "launches") -> str | None:
        """Say why so many good launches, or pairs of them, decide nothing; None where they do."""
        if count >= MIN_CLUSTERS:
            return None
        # Launches that were lost are not made up for: those that hang are the slow ones, and a late launch has no
        # neighbour to be compared with.
        planned = max(Counter(self.order).values(), default=0)
        if planned >= MIN_CLUSTERS:
            return f"{count} of {planned} {what} came back whole, a t interval needs {MIN_CLUSTERS}: raise launches"
        return f"design: {count} good {what}, a t interval needs {MIN_CLUSTERS}: add launches"

    @property
    def loud(self) -> str | None:
        """Say why times decide nothing: others used too much of the machine, in too many launches."""
        disturbed = sum(busy(result) > self.quiet for result in self.results)
        if disturbed <= MAX_DISTURBED * len(self.results):
            return None
        return (
            f"the machine was not quiet: in {disturbed} of {len(self.results)} launches others used more than"
            f" {self.quiet:.0%} of it"
        )

    def notes(self) -> Iterator[str]:
        """Sentences that a reader must know: what was lost, what disturbed, what launches remark."""
        for (arm, reason, message), count in Counter((f.arm, f.reason, f.message) for f in self.failures).items():
            yield f"{count} of {self.order.count(arm)} launches of {arm} gave nothing: {reason}: {message}"
        for (arm, name), count in Counter((r.arm, each.name) for r in self.results for each in r.unfit).items():
            yield f"{name} did not fit into memory in {count} of {len(self.of(arm))} launches of {arm}."
        made = Counter(outcome.arm for outcome in self.outcomes)
        for arm, planned in Counter(self.order).items():
            if made[arm] < planned:
                yield f"{planned - made[arm]} launches of {arm} were not made any more, as those before had failed."
        disturbed = sum(busy(result) > self.quiet for result in self.results)
        if disturbed:
            all_of = len(self.results)
            yield f"In {disturbed} of {all_of} launches others used more than {self.quiet:.0%} of the machine."
        remarks = Counter(remark for result in self.results for remark in result.remarks).most_common()
        yield from (f"In {count} of {len(self.results)} launches: {remark}" for remark, count in remarks[:_REMARKS])
        if len(remarks) > _REMARKS:
            yield f"{len(remarks) - _REMARKS} further remarks of single launches are left out."


def busy(result: LaunchResult) -> float:
    """The share of the device that others used during a launch, or else just before it, in [0, 1].

    A GPU is asked before a launch alone, as it would find the launch itself at work: both shares count there. 0 where
    nothing tells.
    """
    on_device = result.memory.get("peak", {}).get("tensors") is not None
    shares = (result.busy, result.busy_before) if on_device else (result.busy,)
    known = [share for share in shares if share is not None]
    return max(known) if known else result.busy_before or 0.0


def timed(result: LaunchResult, workload: Workload) -> Timed | None:
    """The times of one workload in a launch."""
    return next((each for each in result.timed if each.workload == workload and each.repetitions), None)


def over_workloads(readings: Sequence[Reading]) -> Reading:
    """Read the geometric mean of several numbers off a launch; None where it lacks any.

    Ratios are summarised by it in the same way whichever arm is the base (Fleming and Wallace 1986, CACM 29: 218-221).
    """

    def read(result: LaunchResult) -> float | None:
        values = [value for each in readings if (value := each(result)) is not None and value > 0]
        return math.exp(fmean(map(math.log, values))) if len(values) == len(readings) else None

    return read


def vector(values: Mapping[str, float]) -> Array:
    """The numbers of a mapping from launches, shape (launches,)."""
    return np.fromiter(values.values(), dtype=np.float64, count=len(values))
