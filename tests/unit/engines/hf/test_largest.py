from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.engines.hf import largest
from llmaudit.engines.hf.devices import CpuDevice
from llmaudit.engines.hf.largest import find_largest, search
from llmaudit.engines.hf.timing import Prompts, Stopwatch
from llmaudit.engines.launches import Workload

pytestmark = pytest.mark.usefixtures("quick_release")

WORKLOAD = Workload(64, 8, 2)


@given(most=st.integers(0, 5000), limit=st.integers(1, 4096))
def test_the_largest_batch_is_found_in_few_tries(most: int, limit: int) -> None:
    found = search(lambda batch: batch <= most, limit)
    assert found.batch == min(most, limit)
    assert found.bound == ("memory" if most < limit else "limit")
    assert len(found.tried) <= 2 * limit.bit_length() + 1
    assert all(1 <= batch <= limit for batch in found.tried)


@given(most=st.integers(1, 500))
def test_nothing_is_tried_that_is_twice_as_large_as_what_fitted(most: int) -> None:
    found = search(lambda batch: batch <= most, 1 << 20)
    assert max(found.tried) <= 2 * most


def test_a_search_that_runs_out_of_time_tells_what_it_knows() -> None:
    found = search(lambda batch: True if batch < 8 else None, 64)
    assert (found.batch, found.bound) == (4, "time")


def test_not_even_one_is_an_answer() -> None:
    assert search(lambda batch: False, 64).batch == 0


def test_a_search_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        search(lambda batch: True, 0)


class Machine(CpuDevice):
    """A machine on which a text takes 10 bytes beside what the process holds."""

    def __init__(self, free: int, *, forgets: bool = True) -> None:
        super().__init__()
        self._free, self._forgets = free, forgets
        self.highest = 0
        self.asked: list[int] = []

    def memory(self) -> dict[str, int | None]:
        return {"rss": 1000, "uss": None}

    def peak(self) -> dict[str, int | None]:
        return {"rss": 1000 + self.highest, "uss": None}

    def reset_peak(self) -> bool:
        self.highest = 0
        return self._forgets

    def free(self) -> int:
        return self._free


def tries(monkeypatch: pytest.MonkeyPatch, machine: Machine, most: int = 1 << 30) -> None:
    def tried(watch: Any, prompts: Any, workload: Workload, batch: int) -> bool:
        machine.asked.append(batch)
        machine.highest = 10 * batch
        return batch <= most

    monkeypatch.setattr(largest, "_tried", tried)


def on(machine: Machine, place: str = "cpu") -> Stopwatch:
    return Stopwatch(None, torch.device(place), machine)


PROMPTS = Prompts(None, 0)


def test_a_processor_is_never_asked_for_more_than_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(free=300)
    tries(monkeypatch, machine)
    found = find_largest(on(machine), PROMPTS, WORKLOAD)
    assert found is not None
    assert (found.batch, found.bound) == (21, "memory")  # 0.7 x 300 bytes, 10 each
    assert max(machine.asked) == 21
    assert found.tried[32] is False


def test_a_limit_that_fits_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(free=1 << 30)
    tries(monkeypatch, machine)
    found = find_largest(on(machine), PROMPTS, WORKLOAD)
    assert found is not None
    assert (found.batch, found.bound) == (64, "limit")
    assert machine.asked == [1, 2, 4, 8, 16, 32, 64]


def test_without_a_peak_nothing_would_guard_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(free=1 << 30, forgets=False)
    tries(monkeypatch, machine)
    assert find_largest(on(machine), PROMPTS, WORKLOAD) is None
    assert machine.asked == []


def test_a_gpu_is_tried_and_may_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(free=0, forgets=False)
    tries(monkeypatch, machine, most=13)
    found = find_largest(on(machine, "cuda"), PROMPTS, WORKLOAD)
    assert found is not None
    assert (found.batch, found.bound) == (13, "memory")


def test_a_try_that_would_outlast_the_search_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(free=1 << 30)
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def tried(watch: Any, prompts: Any, workload: Workload, batch: int) -> bool:
        now[0] += 0.5 * batch
        return True

    monkeypatch.setattr(largest, "_tried", tried)
    found = find_largest(on(machine), PROMPTS, WORKLOAD, seconds=5.0)
    assert found is not None
    assert (found.batch, found.bound) == (4, "time")  # 0.5 + 1 + 2 s; eight would take 4 s more


def test_running_out_of_memory_is_caught(monkeypatch: pytest.MonkeyPatch, tiny: Any) -> None:
    class Small(Stopwatch):
        def run(self, ids: torch.Tensor, new_tokens: int) -> Any:
            if len(ids) > 5:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return None, None

    prompts = Prompts(tiny.byte_level(), tiny.vocabulary)
    found = find_largest(Small(lambda: 0, torch.device("cuda"), Machine(0)), prompts, WORKLOAD)
    assert found is not None
    assert found.batch == 5
