from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf import launch as launching
from llmaudit.engines.hf.launch import launch, main
from llmaudit.engines.hf.timing import Prompts, Stopwatch, time_workload
from llmaudit.engines.launches import LaunchFailure, LaunchResult, LaunchSpec, Timed, Workload, parse_outcome
from llmaudit.performance.running import ProcessRunner

pytestmark = pytest.mark.usefixtures("quick_release")

WORKLOADS = (Workload(1, 16, 4), Workload(3, 8, 2))


def spec(folder: Path, **changes: Any) -> LaunchSpec:
    options = EngineOptions(str(folder), device="cpu", dtype="float32")
    return replace(LaunchSpec("model", 4, options, WORKLOADS, repetitions=2, warm_ups=2), **changes)


def good(asked: LaunchSpec) -> LaunchResult:
    outcome = launch(asked, 0.5)
    assert isinstance(outcome, LaunchResult)
    return outcome


def refused(asked: LaunchSpec) -> str:
    outcome = launch(asked, 0.5)
    assert isinstance(outcome, LaunchFailure)
    assert (outcome.arm, outcome.number, outcome.reason) == ("model", 4, "refused")
    return outcome.message


def test_a_launch_times_its_workloads_in_the_order_asked(llama_folder: Path) -> None:
    found = good(spec(llama_folder, workloads=WORKLOADS[::-1]))
    assert [each.workload for each in found.timed] == list(WORKLOADS[::-1])
    assert all(len(each.repetitions) == 2 for each in found.timed)
    assert all(len(one.steps) == each.workload.new_tokens - 1 for each in found.timed for one in each.repetitions)
    assert all(one.ttft > 0 and min(one.steps) > 0 for each in found.timed for one in each.repetitions)
    assert found.load_seconds > 0
    assert found.import_seconds > 0
    assert set(found.memory) == {"imported", "loaded", "peak"}
    assert found.busy is None or 0 <= found.busy <= 1
    assert (found.facts["device"], found.facts["dtype"]) == ("cpu", "float32")


def test_bytes_of_the_parameters_are_exact(llama_folder: Path, tiny: Any) -> None:
    model = tiny.reference(llama_folder)
    sizes = {tensor.data_ptr(): tensor.nbytes for tensor in [*model.parameters(), *model.buffers()]}
    found = good(spec(llama_folder))
    assert found.parameter_bytes == pytest.approx(sum(sizes.values()), rel=1e-3)
    assert found.parameters == model.num_parameters()


def test_the_cache_grows_as_its_sizes_say(llama_folder: Path) -> None:
    found = good(spec(llama_folder, cache_lengths=(16, 32, 64)))
    assert found.shape is not None
    slopes = {size / tokens for tokens, size in found.cache}
    assert slopes == {found.shape.cache_bytes_per_token} == {2 * 2 * 2 * 8 * 4}


def test_extras_come_only_where_they_are_asked_for(llama_folder: Path) -> None:
    bare = good(spec(llama_folder))
    assert (bare.cache, bare.largest, bare.ceilings) == ((), None, None)
    full = good(spec(llama_folder, ceilings=True, largest=Workload(4, 8, 2)))
    assert full.ceilings is not None
    assert full.largest is None or full.largest.batch == 4


def test_threads_are_as_asked(llama_folder: Path) -> None:
    assert good(spec(llama_folder, threads=1)).facts["threads"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workloads": (Workload(1, 90, 7),)}, "90 prompt tokens and 7 new ones are 97; the model reads 96 at most"),
        ({"largest": Workload(8, 96, 1)}, "96 prompt tokens and 1 new ones are 97; the model reads 96 at most"),
        ({"cache_lengths": (16, 128)}, "a cache of 128 tokens; the model reads 96 at most"),
    ],
)
def test_what_the_model_cannot_read_is_refused(llama_folder: Path, changes: dict[str, Any], message: str) -> None:
    assert refused(spec(llama_folder, **changes)) == message


def test_a_device_that_does_not_exist_is_refused_with_the_nearest_one(llama_folder: Path) -> None:
    asked = spec(llama_folder)
    why = refused(replace(asked, options=replace(asked.options, device="cdua")))
    assert why == "--device cdua: not a device; did you mean 'cuda'? say auto, cpu, cuda, cuda:1, mps or xpu"
    if not torch.accelerator.is_available():
        assert "this machine has no such device" in refused(
            replace(asked, options=replace(asked.options, device="cuda:7"))
        )


def test_a_model_that_does_not_load_is_refused(tmp_path: Path) -> None:
    assert "not a model folder" in refused(spec(tmp_path))


def full(watch: Stopwatch, prompts: Prompts, workload: Workload, repetitions: int, warm_ups: int) -> Timed:
    """A device that holds one text."""
    if workload.batch > 1:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return time_workload(watch, prompts, workload, repetitions, warm_ups)


def test_a_batch_that_does_not_fit_loses_no_other(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "time_workload", full)
    found = good(spec(llama_folder, workloads=WORKLOADS[::-1]))
    assert [each.workload for each in found.timed] == [WORKLOADS[0]]
    assert found.unfit == (WORKLOADS[1],)
    assert "b3-p8-n2 does not fit the memory of cpu" in found.remarks


def test_where_no_batch_fits_that_is_the_finding(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "time_workload", full)
    outcome = launch(spec(llama_folder, workloads=WORKLOADS[1:]), 0.5)
    assert outcome == LaunchFailure("model", 4, "no memory", "b3-p8-n2: more than the memory of cpu holds")


def test_a_processor_is_not_driven_into_swap(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 256 bytes of cache a token; a tenth of a text's cache is free.
    monkeypatch.setattr("llmaudit.engines.hf.devices.free_memory", lambda place: 256 * 2)
    monkeypatch.setattr(launching, "time_workload", lambda *_: pytest.fail("it was tried"))
    assert isinstance(launch(spec(llama_folder), 0.5), LaunchFailure)


def test_a_peak_that_cannot_be_forgotten_is_remarked(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmaudit.engines.hf.devices.reset_own_peak", lambda: False)
    found = good(spec(llama_folder, largest=Workload(4, 8, 2)))
    assert found.largest is None
    assert found.remarks[-2].startswith("This system cannot forget a peak of memory")
    assert found.remarks[-1].startswith("No search for the largest batch")


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is said to the launch, word by word; then whoever said it stays there."""
    left = [b"go\n"]
    stays = threading.Event()
    monkeypatch.setattr("os.read", lambda *_: left.pop(0) if left else stays.wait() and b"")
    return left


@pytest.mark.usefixtures("words")
def test_the_outcome_is_written_whole(llama_folder: Path, tmp_path: Path) -> None:
    asked, answered = tmp_path / "spec.json", tmp_path / "outcome.json"
    asked.write_text(spec(llama_folder).to_json(), encoding="utf-8")
    main([str(asked), str(answered)])
    assert isinstance(parse_outcome(answered.read_text(encoding="utf-8")), LaunchResult)
    assert sorted(file.name for file in tmp_path.glob("*.*")) == ["outcome.json", "outcome.ready", "spec.json"]


def test_a_launch_that_nobody_waits_for_does_not_begin(llama_folder: Path, tmp_path: Path, words: list[bytes]) -> None:
    words[:] = [b""]
    asked, answered = tmp_path / "spec.json", tmp_path / "outcome.json"
    asked.write_text(spec(llama_folder).to_json(), encoding="utf-8")
    main([str(asked), str(answered)])
    assert not answered.exists()


def test_a_launch_ends_with_whoever_waits_for_it(llama_folder: Path, tmp_path: Path) -> None:
    asked = tmp_path / "spec.json"
    slow = replace(spec(llama_folder), repetitions=100_000)
    asked.write_text(slow.to_json(), encoding="utf-8")
    command = [*ProcessRunner().command, str(asked), str(tmp_path / "outcome.json")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    process.stdin.flush()
    time.sleep(1.0)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(120) == 1
