"""The libraries of the drivers as they answered elsewhere: none of them is here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llmaudit.engines.drivers import AmdSmi, Nvml, find_driver


class NVMLError(Exception):
    pass


class AmdSmiException(Exception):  # noqa: N818 - the name of theirs
    pass


def nvml(**changed: Any) -> Any:
    """An H100 that two processes use."""
    processes = [SimpleNamespace(pid=11, usedGpuMemory=6 << 30), SimpleNamespace(pid=12, usedGpuMemory=None)]

    def by_index(index: int) -> str:
        if index > 1:
            raise NVMLError("Invalid Argument")
        return f"handle {index}"

    told = {
        "NVMLError": NVMLError,
        "NVML_CLOCK_SM": 1,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetHandleByIndex": by_index,
        "nvmlDeviceGetHandleByUUID": lambda uuid: f"handle {uuid}",
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: processes,
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=37, memory=12),
        "nvmlDeviceGetTotalEnergyConsumption": lambda handle: 2_500_000,
        "nvmlDeviceGetName": lambda handle: b"NVIDIA H100 80GB HBM3",
        "nvmlSystemGetDriverVersion": lambda: "550.54.15",
        "nvmlDeviceGetClockInfo": lambda handle, kind: 1755,
        "nvmlDeviceGetMaxClockInfo": lambda handle, kind: 1980,
        "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 700_000,
    }
    return SimpleNamespace(**{**told, **changed})


def amdsmi(**changed: Any) -> Any:
    """An MI300X, by ROCm 6.4."""
    told = {
        "AmdSmiException": AmdSmiException,
        "AmdSmiClkType": SimpleNamespace(GFX=0),
        "amdsmi_init": lambda: None,
        "amdsmi_get_processor_handles": lambda: ["handle 0", "handle 1"],
        "amdsmi_get_gpu_process_list": lambda handle: [{"pid": 21, "name": "x", "memory_usage": {"vram_mem": 5 << 30}}],
        "amdsmi_get_gpu_activity": lambda handle: {"gfx_activity": 80, "umc_activity": "N/A"},
        "amdsmi_get_energy_count": lambda handle: {"energy_accumulator": 1_000_000, "counter_resolution": 15.3},
        "amdsmi_get_gpu_asic_info": lambda handle: {"market_name": "AMD Instinct MI300X"},
        "amdsmi_get_gpu_driver_info": lambda handle: {"driver_version": "6.10.5"},
        "amdsmi_get_clock_info": lambda handle, kind: {"clk": 1200, "max_clk": "N/A"},
        "amdsmi_get_power_cap_info": lambda handle: {"power_cap": 750_000_000},
    }
    return SimpleNamespace(**{**told, **changed})


def refuse(*_: Any) -> Any:
    raise NVMLError("Not Supported")


def refuse_amd(*_: Any) -> Any:
    raise AmdSmiException("AMDSMI_STATUS_NOT_SUPPORTED")


def library(**modules: Any) -> Any:
    def load(name: str) -> Any:
        if name not in modules:
            raise ImportError(name)
        return modules[name]

    return load


def test_nvml_is_told_in_bytes_shares_and_joules() -> None:
    gpu = Nvml.open(nvml(), "0")
    assert gpu is not None
    assert gpu.processes() == {11: 6 << 30, 12: None}
    assert gpu.busy() == pytest.approx(0.37)
    assert gpu.joules() == 2500.0
    assert gpu.facts() == {
        "gpu": "NVIDIA H100 80GB HBM3",
        "driver": "550.54.15",
        "clock_mhz": 1755,
        "most_clock_mhz": 1980,
        "power_limit_w": 700.0,
    }


def test_what_nvml_refuses_is_unknown_not_zero() -> None:
    asked = ["ComputeRunningProcesses", "UtilizationRates", "TotalEnergyConsumption", "EnforcedPowerLimit", "ClockInfo"]
    gpu = Nvml.open(nvml(**{f"nvmlDeviceGet{name}": refuse for name in asked}), "0")
    assert gpu is not None
    assert (gpu.processes(), gpu.busy(), gpu.joules()) == (None, None, None)
    assert set(gpu.facts()) == {"gpu", "driver", "most_clock_mhz"}


def test_an_idle_gpu_is_told_apart_from_one_that_does_not_tell() -> None:
    gpu = Nvml.open(nvml(nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=0)), "0")
    assert gpu is not None
    assert gpu.busy() == 0.0


def test_amd_smi_is_told_in_the_same_units() -> None:
    gpu = AmdSmi.open(amdsmi(), "1")
    assert gpu is not None
    assert gpu.processes() == {21: 5 << 30}
    assert gpu.busy() == pytest.approx(0.8)
    assert gpu.joules() == pytest.approx(15.3)
    assert gpu.facts() == {
        "gpu": "AMD Instinct MI300X",
        "driver": "6.10.5",
        "clock_mhz": 1200,
        "power_limit_w": 750.0,
    }


def test_older_names_of_amd_smi_are_understood() -> None:
    older = amdsmi(
        amdsmi_get_gpu_process_list=lambda handle: ["process"],
        amdsmi_get_gpu_process_info=lambda handle, process: {"pid": 22, "memory_usage": {"vram_mem": 7}},
        amdsmi_get_energy_count=lambda handle: {"power": 2_000_000, "counter_resolution": 1.0},
        amdsmi_get_power_cap_info=lambda handle: {"power_cap": 300},
    )
    gpu = AmdSmi.open(older, "0")
    assert gpu is not None
    assert gpu.processes() == {22: 7}
    assert gpu.joules() == pytest.approx(2.0)
    assert gpu.facts()["power_limit_w"] == 300.0


def test_what_amd_smi_refuses_is_unknown_not_zero() -> None:
    names = ["gpu_process_list", "gpu_activity", "energy_count", "gpu_asic_info", "clock_info", "power_cap_info"]
    gpu = AmdSmi.open(amdsmi(**{f"amdsmi_get_{name}": refuse_amd for name in names}), "0")
    assert gpu is not None
    assert (gpu.processes(), gpu.busy(), gpu.joules()) == (None, None, None)
    assert gpu.facts() == {"driver": "6.10.5"}
    partly = AmdSmi.open(amdsmi(amdsmi_get_gpu_activity=lambda handle: {"gfx_activity": "N/A"}), "0")
    assert partly is not None
    assert partly.busy() is None


@pytest.mark.parametrize(
    ("visible", "device", "handle"),
    [
        ("", "cuda", "handle 0"),
        ("", "cuda:1", "handle 1"),
        ("1", "cuda:0", "handle 1"),
        ("1,0", "cuda:1", "handle 0"),
        ("GPU-8f3a, GPU-1b2c", "cuda:1", "handle GPU-1b2c"),
        ("1", "GPU-77", "handle GPU-77"),
    ],
)
def test_a_gpu_is_the_one_that_torch_means(
    monkeypatch: pytest.MonkeyPatch, visible: str, device: str, handle: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = find_driver(device, library(pynvml=nvml()))
    assert isinstance(found, Nvml)
    assert found._handle == handle


def test_no_library_and_no_gpu_are_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("HIP_VISIBLE_DEVICES", raising=False)
    assert find_driver("cuda", library()) is None
    assert find_driver("cuda", library(pynvml=nvml(nvmlInit=refuse))) is None
    assert find_driver("cuda:2", library(pynvml=nvml())) is None
    assert find_driver("cuda:2", library(amdsmi=amdsmi())) is None
    assert find_driver("cuda", library(amdsmi=amdsmi(amdsmi_init=refuse_amd))) is None
    assert isinstance(find_driver("cuda", library(pynvml=nvml(nvmlInit=refuse), amdsmi=amdsmi())), AmdSmi)
