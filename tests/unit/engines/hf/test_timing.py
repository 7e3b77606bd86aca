from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.hf.devices import CpuDevice
from llmaudit.engines.hf.timing import Prompts, Stopwatch, cache_sizes, time_workload
from llmaudit.engines.launches import Workload

CPU = torch.device("cpu")


class Ticking(CpuDevice):
    """A device that takes a known time for everything: every wait moves the clock on."""

    def __init__(self, *seconds: float) -> None:
        super().__init__()
        self.now = 0.0
        self.waits = 0
        self._left = iter(seconds)
        self.last = 0.0

    def synchronise(self) -> None:
        self.waits += 1
        self.last = next(self._left, self.last)
        self.now += self.last

    def joules(self) -> float | None:
        return 5 * self.now


@pytest.fixture(scope="module")
def model(tiny: Any, llama_folder: Path) -> Any:
    return tiny.reference(llama_folder)


@pytest.fixture
def prompts(tiny: Any) -> Prompts:
    return Prompts(tiny.byte_level(), tiny.vocabulary, seed=3)


def watch(model: Any, device: CpuDevice | None = None, clock: Callable[[], float] | None = None) -> Stopwatch:
    return Stopwatch(model, CPU, device or CpuDevice(), **({"clock": clock} if clock else {}))


def ticking(model: Any, *seconds: float) -> Stopwatch:
    device = Ticking(*seconds)
    return watch(model, device, lambda: device.now)


def test_prompts_have_exactly_the_length_asked_for(prompts: Prompts) -> None:
    ids = prompts.ids(3, 500)
    assert ids.shape == (3, 500)
    assert torch.equal(ids, prompts.ids(3, 500))
    assert len({tuple(row) for row in ids.tolist()}) == 3
    characters, size = prompts.written(ids)
    assert size == characters > 500


def test_tokens_without_an_embedding_are_never_read(tiny: Any) -> None:
    assert int(Prompts(tiny.byte_level(), 250).ids(2, 300).max()) < 250


def test_the_loop_writes_what_generate_writes(model: Any, prompts: Prompts) -> None:
    ids = prompts.ids(2, 20)
    repetition, tokens = watch(model).run(ids, 8)
    expected = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=8, max_new_tokens=8,
        eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    assert torch.equal(tokens, expected[:, 20:])
    assert len(repetition.steps) == 7


def test_times_are_read_behind_a_wait_for_the_device(model: Any, prompts: Prompts) -> None:
    stopwatch = ticking(model, 9.0, 0.5, 0.1, 0.2, 0.3, 0.0)
    repetition, _ = stopwatch.run(prompts.ids(1, 4), 4)
    assert repetition.ttft == pytest.approx(0.5)
    assert repetition.steps == pytest.approx((0.1, 0.2, 0.3))
    assert repetition.seconds == pytest.approx(1.1)
    assert repetition.tpot == pytest.approx(0.2)


def test_end_to_end_is_the_first_token_and_the_rest(model: Any, prompts: Prompts) -> None:
    repetition, _ = watch(model).run(prompts.ids(2, 32), 12)
    assert repetition.ttft + sum(repetition.steps) == pytest.approx(repetition.seconds, rel=0.01)


def test_a_single_token_has_no_steps(model: Any, prompts: Prompts) -> None:
    repetition, tokens = watch(model).run(prompts.ids(2, 8), 1)
    assert repetition.steps == ()
    assert repetition.tpot is None
    assert tokens.shape == (2, 1)


def test_a_steady_device_is_warmed_twice(model: Any, prompts: Prompts) -> None:
    timed = time_workload(ticking(model, 0.1), prompts, Workload(2, 8, 3), repetitions=4, warm_ups=10)
    assert (timed.warm_ups, timed.steady, len(timed.repetitions)) == (2, True, 4)
    assert timed.energy == pytest.approx(5 * 5 * 0.1)  # five waits a repetition
    assert timed.bytes >= timed.characters > 0


def test_a_device_that_speeds_up_is_warmed_until_it_no_longer_does(model: Any, prompts: Prompts) -> None:
    waits = [seconds for seconds in (0.9, 0.5, 0.3, 0.201, 0.2) for _ in range(5)]
    timed = time_workload(ticking(model, *waits), prompts, Workload(1, 8, 3), repetitions=2, warm_ups=10)
    assert (timed.warm_ups, timed.steady) == (5, True)
    assert timed.repetitions[0].ttft == pytest.approx(0.2)


def test_a_device_that_never_settles_is_timed_all_the_same_and_says_so(model: Any, prompts: Prompts) -> None:
    waits = [seconds for seconds in (0.1, 0.2) * 5 for _ in range(5)]
    timed = time_workload(ticking(model, *waits), prompts, Workload(1, 8, 3), repetitions=2, warm_ups=4)
    assert (timed.warm_ups, timed.steady, len(timed.repetitions)) == (4, False, 2)


def test_a_device_that_tells_no_energy_drew_an_unknown_amount(model: Any, prompts: Prompts) -> None:
    class Silent(Ticking):
        def joules(self) -> float | None:
            return None

    device = Silent(0.1)
    stopwatch = watch(model, device, lambda: device.now)
    assert time_workload(stopwatch, prompts, Workload(1, 8, 2), repetitions=1, warm_ups=1).energy is None


def test_the_cache_grows_by_what_the_sizes_say(model: Any, prompts: Prompts) -> None:
    # 2 x 2 layers x 2 kv heads x head size 8 x 4 bytes.
    found = cache_sizes(watch(model), prompts, (64, 16, 32, 16))
    assert found == ((16, 16 * 256), (32, 32 * 256), (64, 64 * 256))


def test_a_model_without_a_cache_tells_no_size(model: Any, prompts: Prompts) -> None:
    class Bare:
        def __call__(self, *_: Any, **__: Any) -> Any:
            return type("Out", (), {"past_key_values": None})()

    assert cache_sizes(watch(Bare()), prompts, (4, 8)) == ()
    assert cache_sizes(watch(model), prompts, ()) == ()
