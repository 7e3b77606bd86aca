"""Devices as torch and the drivers told them elsewhere; what is on this machine is asked for real."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llmaudit.engines.hf import devices
from llmaudit.engines.hf.ceilings import measure_ceilings
from llmaudit.engines.hf.devices import AppleDevice, CpuDevice, GpuDevice, OtherDevice, open_device
from llmaudit.engines.host import EnergyMeter

GPU = torch.device("cuda", 0)
OWN = os.getpid()


class Driver:
    """What NVML said of a GPU that this process shares with another one."""

    def __init__(self, **processes: int | None) -> None:
        self._processes = {int(name.removeprefix("p")): size for name, size in processes.items()}

    def processes(self) -> dict[int, int | None] | None:
        return self._processes or None

    def busy(self) -> float | None:
        return 0.4

    def joules(self) -> float | None:
        return 12.5

    def facts(self) -> dict[str, Any]:
        return {"gpu": "NVIDIA H100 80GB HBM3", "clock_mhz": 1755}


def recorded_cuda(said: list[str] | None = None) -> Any:
    """torch.cuda with a model of 538 MB on it."""
    calls = said if said is not None else []
    return SimpleNamespace(
        synchronize=lambda device: calls.append(f"synchronize {device}"),
        reset_peak_memory_stats=lambda device: calls.append(f"reset {device}"),
        mem_get_info=lambda device: (70 << 30, 80 << 30),
        memory_allocated=lambda device: 538_000_000,
        memory_reserved=lambda device: 600_000_000,
        max_memory_allocated=lambda device: 700_000_000,
        max_memory_reserved=lambda device: 800_000_000,
        get_device_name=lambda device: "NVIDIA H100 80GB HBM3",
    )


def test_memory_of_a_gpu_is_told_three_ways_that_differ() -> None:
    gpu = GpuDevice(GPU, Driver(**{f"p{OWN}": 1_100_000_000}), recorded_cuda())
    now = gpu.memory()
    assert (now["tensors"], now["allocator"], now["process"]) == (538_000_000, 600_000_000, 1_100_000_000)
    assert now["device"] == 10 << 30
    assert now["rss"]
    peak = gpu.peak()
    assert (peak["tensors"], peak["allocator"], peak["process"]) == (700_000_000, 800_000_000, 1_100_000_000)
    assert peak["device"] is None
    assert gpu.free() == 70 << 30


def test_a_gpu_is_waited_for_and_forgets_its_peak() -> None:
    said: list[str] = []
    gpu = GpuDevice(GPU, None, recorded_cuda(said))
    gpu.synchronise()
    gpu.reset_peak()
    assert said == ["synchronize cuda:0", "reset cuda:0"]


def test_what_a_gpu_without_a_driver_library_cannot_tell_is_unknown() -> None:
    gpu = GpuDevice(GPU, None, recorded_cuda())
    assert gpu.memory()["process"] is None
    assert (gpu.joules(), gpu.busy(), gpu.others()) == (None, None, ())


def test_other_users_of_a_gpu_are_named() -> None:
    gpu = GpuDevice(GPU, Driver(**{f"p{OWN}": 5, "p7": 3 << 30, "p8": None}), recorded_cuda())
    assert gpu.others() == (
        "process 7 holds 3072 MiB of the GPU",
        "process 8 holds an unknown amount of the GPU",
    )
    assert (gpu.joules(), gpu.busy()) == (12.5, 0.4)


def test_in_a_container_the_drivers_numbers_name_nobody() -> None:
    # The driver knows this process under another number, so that it cannot be told from the others.
    gpu = GpuDevice(GPU, Driver(p1234567=5 << 30), recorded_cuda())
    assert gpu.others() == ()
    assert gpu.memory()["process"] is None


@pytest.mark.parametrize(("hip", "name"), [(None, "cuda"), ("6.4", "rocm")])
def test_facts_tell_cuda_from_rocm(hip: str | None, name: str) -> None:
    facts = GpuDevice(GPU, Driver(), recorded_cuda(), hip).facts()
    assert name in facts
    assert facts["clock_mhz"] == 1755
    assert ({"cuda", "rocm"} - {name}).isdisjoint(facts)


def test_a_gpu_is_found_by_its_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="1b2c"))
    monkeypatch.setattr(devices, "find_driver", asked.append)
    assert isinstance(open_device(GPU), GpuDevice)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace())
    open_device(torch.device("cuda", 1))
    assert asked == ["GPU-1b2c", "cuda:1"]


def test_an_apple_gpu_tells_tensors_and_driver_and_no_peak() -> None:
    said: list[str] = []
    mps = SimpleNamespace(
        synchronize=lambda: said.append("waited"),
        current_allocated_memory=lambda: 500,
        driver_allocated_memory=lambda: 900,
    )
    apple = AppleDevice(mps)
    apple.synchronise()
    assert said == ["waited"]
    assert (apple.memory()["tensors"], apple.memory()["driver"]) == (500, 900)
    assert (apple.peak()["tensors"], apple.peak()["driver"]) == (None, None)
    assert not apple.reset_peak()
    assert (apple.joules(), apple.busy(), apple.others()) == (None, None, ())
    assert apple.free() > 0


def test_every_device_that_torch_has_is_opened() -> None:
    assert type(open_device(torch.device("cpu"))) is CpuDevice
    assert isinstance(open_device(torch.device("mps")), AppleDevice)
    other = open_device(torch.device("xpu", 0))
    assert isinstance(other, OtherDevice)
    assert other.joules() is None
    assert other.facts()["device"] == "xpu:0"


def test_the_processors_tell_the_memory_of_the_process(tmp_path: Any) -> None:
    device = CpuDevice(EnergyMeter(tmp_path))
    device.reset_peak()
    held = torch.ones(1 << 24)
    device.synchronise()
    now, peak = device.memory(), device.peak()
    assert now["rss"]
    assert now["uss"]
    assert peak["uss"] is None
    assert peak["rss"] is None or peak["rss"] >= held.nbytes
    assert device.free() > 0
    assert (device.joules(), device.busy(), device.others()) == (None, None, ())
    assert device.facts()["threads"] == torch.get_num_threads()


def test_ceilings_are_those_of_a_machine() -> None:
    found = measure_ceilings(CpuDevice(), torch.device("cpu"), torch.float32, weights=1)
    assert 1e7 < found.bandwidth < 1e13
    assert 1e7 < found.flops < 1e15
