"""A launch on an accelerator; skipped, with the reason, where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.drivers import find_driver
from llmaudit.engines.hf.devices import GpuDevice, open_device
from llmaudit.engines.hf.launch import launch
from llmaudit.engines.launches import LaunchResult, LaunchSpec, Workload
from llmaudit.performance.running import ProcessRunner, busy_share

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.accelerator.is_available(), reason="this machine has no GPU that torch can use"),
]

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU of CUDA or ROCm")


def _spec(folder: Path) -> LaunchSpec:
    options = EngineOptions(str(folder), device="auto", dtype="float32")
    return LaunchSpec(
        "model", 0, options, (Workload(2, 16, 6),), repetitions=3, cache_lengths=(16, 64), ceilings=True,
        largest=Workload(16, 16, 2),
    )  # fmt: skip


def test_a_launch_on_an_accelerator_tells_its_times_and_sizes(llama_folder: Path) -> None:
    found = launch(_spec(llama_folder), 0.5)
    assert isinstance(found, LaunchResult)
    (timed,) = found.timed
    assert all(each.ttft > 0 and min(each.steps) > 0 for each in timed.repetitions)
    assert found.shape is not None
    assert {size / tokens for tokens, size in found.cache} == {found.shape.cache_bytes_per_token}
    assert found.ceilings is not None
    assert found.ceilings.flops > 1e9
    assert 0 not in {value for step in found.memory.values() for name, value in step.items() if name != "tensors"}


@CUDA
def test_memory_on_a_gpu_is_told_three_ways() -> None:
    place = torch.device("cuda", 0)
    gpu = open_device(place)
    assert isinstance(gpu, GpuDevice)
    gpu.reset_peak()
    held = torch.ones(1 << 24, device=place)
    gpu.synchronise()
    del held
    now, peak = gpu.memory(), gpu.peak()
    assert peak["tensors"] is not None
    assert peak["allocator"] is not None
    assert (now["tensors"] or 0) + (1 << 26) <= peak["tensors"] <= peak["allocator"]
    assert now["process"] is None or now["process"] >= (now["allocator"] or 0)
    assert gpu.free() > 0


@CUDA
def test_the_driver_knows_the_gpu_where_its_library_is_installed() -> None:
    driver = find_driver("cuda:0")
    if driver is None:
        pytest.skip("neither nvidia-ml-py nor amdsmi is installed: pip install llmaudit[gpu]")
    share = busy_share("cuda:0")
    assert share is not None
    assert 0 <= share <= 1
    assert driver.facts()["gpu"]


def test_a_launch_of_a_process_of_its_own_finds_the_accelerator(llama_folder: Path) -> None:
    found = ProcessRunner(timeout=300)(_spec(llama_folder))
    assert isinstance(found, LaunchResult), found
    assert found.facts["device"] != "cpu"
