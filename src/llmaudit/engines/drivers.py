"""What the drivers of GPUs tell through their own libraries, without torch: NVIDIA's NVML and AMD's SMI.

Both libraries are optional. What a driver does not tell is None, or left out: never 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol

from llmaudit.types import Factor

__all__ = ["AmdSmi", "Driver", "Nvml", "find_driver"]


class Driver(Protocol):
    """One GPU, as its driver sees it."""

    def processes(self) -> Mapping[int, int | None] | None:
        """Process id -> bytes of the GPU's memory; ids are those of the driver, outside of any container."""

    def busy(self) -> float | None:
        """Share of the last moment (up to a second) in which something ran on the GPU, in [0, 1]."""

    def joules(self) -> float | None:
        """Energy drawn since the driver was loaded."""

    def facts(self) -> dict[str, Factor]:
        """Name, driver, clocks in MHz and limits in watts, as far as they are told."""


class Nvml:
    """A GPU of NVIDIA's. `library` is the module pynvml of nvidia-ml-py."""

    def __init__(self, library: Any, handle: Any) -> None:
        self._library = library
        self._handle = handle

    @classmethod
    def open(cls, library: Any, device: str) -> Nvml | None:
        """Open a GPU by its number or its UUID; None where there is no driver or no such GPU."""
        try:
            library.nvmlInit()
            if device.isdecimal():
                return cls(library, library.nvmlDeviceGetHandleByIndex(int(device)))
            return cls(library, library.nvmlDeviceGetHandleByUUID(device))
        except library.NVMLError:
            return None

    def processes(self) -> Mapping[int, int | None] | None:
        """Process id -> bytes; None for a process where the driver does not tell."""
        found = self._ask("nvmlDeviceGetComputeRunningProcesses")
        return None if found is None else {int(each.pid): each.usedGpuMemory for each in found}

    def busy(self) -> float | None:
        """Share of the last moment in which a kernel ran."""
        found = self._ask("nvmlDeviceGetUtilizationRates")
        return None if found is None else float(found.gpu) / 100

    def joules(self) -> float | None:
        """Energy since the driver was loaded; from the Volta generation on."""
        found = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if found is None else float(found) / 1000

    def facts(self) -> dict[str, Factor]:
        """Name, driver, clock of the multiprocessors now and at most, power limit."""
        clock = getattr(self._library, "NVML_CLOCK_SM", 1)
        limit = self._ask("nvmlDeviceGetEnforcedPowerLimit")
        found: dict[str, Any] = {
            "gpu": _text(self._ask("nvmlDeviceGetName")),
            "driver": _text(self._ask("nvmlSystemGetDriverVersion", of_system=True)),
            "clock_mhz": self._ask("nvmlDeviceGetClockInfo", clock),
            "most_clock_mhz": self._ask("nvmlDeviceGetMaxClockInfo", clock),
            "power_limit_w": None if limit is None else limit / 1000,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _ask(self, name: str, *arguments: Any, of_system: bool = False) -> Any:
        own = () if of_system else (self._handle,)
        try:
            return getattr(self._library, name)(*own, *arguments)
        except (AttributeError, self._library.NVMLError):
            return None


class AmdSmi:
    """A GPU of AMD's. `library` is the module amdsmi, which comes with ROCm."""

    def __init__(self, library: Any, handle: Any) -> None:
        self._library = library
        self._handle = handle

    @classmethod
    def open(cls, library: Any, device: str) -> AmdSmi | None:
        """Open a GPU by its number; None where there is no driver or no such GPU."""
        try:
            library.amdsmi_init()
            handles = library.amdsmi_get_processor_handles()
            return cls(library, handles[int(device)])
        except (library.AmdSmiException, IndexError, ValueError):
            return None

    def processes(self) -> Mapping[int, int | None] | None:
        """Process id -> bytes of the GPU's memory."""
        found = self._ask("amdsmi_get_gpu_process_list")
        if found is None:
            return None
        # Until ROCm 6.0 the list held handles that had to be asked for one by one.
        known = [each if isinstance(each, dict) else self._ask("amdsmi_get_gpu_process_info", each) for each in found]
        return {int(each["pid"]): _number(each.get("memory_usage", {}).get("vram_mem")) for each in known if each}

    def busy(self) -> float | None:
        """Share of the last moment in which the shader engines ran."""
        share = _number((self._ask("amdsmi_get_gpu_activity") or {}).get("gfx_activity"))
        return None if share is None else share / 100

    def joules(self) -> float | None:
        """Energy since the driver was loaded: a counter and the microjoules that one step of it means."""
        found = self._ask("amdsmi_get_energy_count") or {}
        # Named `power` until ROCm 6.2.
        counter, step = found.get("energy_accumulator", found.get("power")), found.get("counter_resolution")
        if not isinstance(counter, int | float) or not isinstance(step, int | float):
            return None
        return counter * step / 1e6

    def facts(self) -> dict[str, Factor]:
        """Name, driver, clock of the shader engines now and at most, power limit."""
        clocks = self._ask("amdsmi_get_clock_info", getattr(self._library.AmdSmiClkType, "GFX", None)) or {}
        found: dict[str, Any] = {
            "gpu": (self._ask("amdsmi_get_gpu_asic_info") or {}).get("market_name"),
            "driver": (self._ask("amdsmi_get_gpu_driver_info") or {}).get("driver_version"),
            "clock_mhz": _number(clocks.get("clk")),
            "most_clock_mhz": _number(clocks.get("max_clk")),
            "power_limit_w": self._limit(),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _limit(self) -> float | None:
        """Watts; some versions write microwatts."""
        cap = _number((self._ask("amdsmi_get_power_cap_info") or {}).get("power_cap"))
        return None if cap is None else cap / 1e6 if cap > 1e5 else float(cap)

    def _ask(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self._library, name)(self._handle, *arguments)
        except (AttributeError, self._library.AmdSmiException):
            return None


def find_driver(device: str, load: Callable[[str], Any] = import_module) -> Driver | None:
    """Open the driver of a GPU, named as `--device` names it or by its UUID; None where no library knows it.

    `cuda:1` is the second GPU that the environment lets this process see. `load` imports a library by its name.
    """
    name = device.partition(":")[2] or "0" if device.startswith("cuda") else device
    # On a Windows or a Mac the libraries fail to load in ways of their own.
    with suppress(ImportError, OSError):
        if (nvidia := Nvml.open(load("pynvml"), _visible(name, "CUDA_VISIBLE_DEVICES"))) is not None:
            return nvidia
    with suppress(ImportError, OSError, KeyError):
        return AmdSmi.open(load("amdsmi"), _visible(name, "HIP_VISIBLE_DEVICES"))
    return None


def _visible(name: str, variable: str) -> str:
    """Return which of the machine's GPUs a process sees under a number."""
    shown = [each.strip() for each in os.environ.get(variable, "").split(",") if each.strip()]
    return shown[int(name)] if name.isdecimal() and int(name) < len(shown) else name


def _number(value: Any) -> int | None:
    # What AMD's library cannot tell is the text "N/A".
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
