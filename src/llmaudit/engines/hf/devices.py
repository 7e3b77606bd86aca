"""The devices that a model can be on, behind one small interface: wait, memory, energy, limits.

What a device cannot tell is None, never 0: on a build of torch without CUDA its memory functions return 0 and mean
nothing.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any, Protocol

import torch

from llmaudit.engines.drivers import Driver, find_driver
from llmaudit.engines.hf.memory import free_memory
from llmaudit.engines.host import EnergyMeter, own_memory, own_peak, reset_own_peak
from llmaudit.types import Factor

__all__ = ["AppleDevice", "CpuDevice", "Device", "GpuDevice", "OtherDevice", "open_device"]

Memory = dict[str, int | None]


class Device(Protocol):
    """What a launch needs to know of where its model is."""

    def synchronise(self) -> None:
        """Wait until all that was asked of the device is done, so that a clock may be read."""

    def memory(self) -> Memory:
        """Name -> bytes in use now."""

    def peak(self) -> Memory:
        """Name -> the most bytes in use since `reset_peak`."""

    def reset_peak(self) -> bool:
        """Forget the peak; False where that cannot be done, so that the peak is that of the whole process."""

    def free(self) -> int:
        """Bytes that can still be had."""

    def joules(self) -> float | None:
        """Energy drawn, from a moment that stays the same; None where nothing tells."""

    def busy(self) -> float | None:
        """Share of the last moment in which the accelerator worked, in [0, 1]; None for a CPU."""

    def others(self) -> tuple[str, ...]:
        """Other processes that hold memory of the accelerator, in words."""

    def facts(self) -> dict[str, Factor | None]:
        """Name, clocks, limits, versions."""


class CpuDevice:
    """The processors. Memory is that of the process: `rss` resident, `uss` its own alone."""

    def __init__(self, energy: EnergyMeter | None = None) -> None:
        self._energy = energy or EnergyMeter()

    def synchronise(self) -> None:
        """Nothing is ever left undone."""

    def memory(self) -> Memory:
        """`rss` and `uss` now."""
        return own_memory()

    def peak(self) -> Memory:
        """High-water mark of `rss`; no system keeps one of `uss`."""
        return own_peak()

    def reset_peak(self) -> bool:
        """Forget the high-water mark; Linux only."""
        return reset_own_peak()

    def free(self) -> int:
        """Bytes that can be had without swapping."""
        return free_memory(torch.device("cpu"))

    def joules(self) -> float | None:
        """Of all processor packages, whoever used them (RAPL)."""
        return self._energy.joules()

    def busy(self) -> float | None:
        """A processor tells it in another way: `engines.host.Watch`."""
        return None

    def others(self) -> tuple[str, ...]:
        """Whoever runs on the processors holds none of them."""
        return ()

    def facts(self) -> dict[str, Factor | None]:
        """Threads in use, and the instructions that products are made with."""
        return {
            "device": "cpu",
            "threads": torch.get_num_threads(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "torch": torch.__version__,
        }


class GpuDevice:
    """A GPU of CUDA or ROCm, which torch serves under one name.

    Memory is told thrice, and differs: `tensors` is what torch's tensors take, `allocator` what torch has taken from
    the device to serve them, `process` what the driver sees of this process, its context included; `device` is in use
    by anybody. `cuda` and `hip` stand for torch.cuda and torch.version.hip.
    """

    def __init__(
        self, device: torch.device, driver: Driver | None, cuda: Any = torch.cuda, hip: str | None = torch.version.hip
    ) -> None:
        self._device, self._driver, self._cuda, self._hip = device, driver, cuda, hip
        self._pid = os.getpid()

    def synchronise(self) -> None:
        """Wait for all streams of the device."""
        self._cuda.synchronize(self._device)

    def memory(self) -> Memory:
        """By torch, by the driver, and resident memory of the process on the host."""
        free, total = self._cuda.mem_get_info(self._device)
        processes = self._driver.processes() if self._driver is not None else None
        return {
            "tensors": int(self._cuda.memory_allocated(self._device)),
            "allocator": int(self._cuda.memory_reserved(self._device)),
            "process": (processes or {}).get(self._pid),
            "device": int(total - free),
            "rss": own_memory()["rss"],
        }

    def peak(self) -> Memory:
        """By torch; the driver keeps no peak, and what torch has once taken it keeps: `process` is what it is now."""
        return {
            "tensors": int(self._cuda.max_memory_allocated(self._device)),
            "allocator": int(self._cuda.max_memory_reserved(self._device)),
            "process": self.memory()["process"],
            "device": None,
            "rss": own_peak()["rss"],
        }

    def reset_peak(self) -> bool:
        """Forget the peaks of torch and of the host."""
        self._cuda.reset_peak_memory_stats(self._device)
        return reset_own_peak()

    def free(self) -> int:
        """Bytes free on the device, by the driver."""
        return int(self._cuda.mem_get_info(self._device)[0])

    def joules(self) -> float | None:
        """Of the board, whoever used it."""
        return self._driver.joules() if self._driver is not None else None

    def busy(self) -> float | None:
        """By the driver: whether anything ran."""
        return self._driver.busy() if self._driver is not None else None

    def others(self) -> tuple[str, ...]:
        """Processes on the device but this one; none is named in a container, where the driver counts otherwise."""
        processes: Mapping[int, int | None] = (self._driver.processes() if self._driver is not None else None) or {}
        if self._pid not in processes:
            return ()
        return tuple(
            f"process {pid} holds {'an unknown amount' if size is None else f'{size / 2**20:.0f} MiB'} of the GPU"
            for pid, size in sorted(processes.items())
            if pid != self._pid
        )

    def facts(self) -> dict[str, Factor | None]:
        """What torch and the driver tell; clocks as they are now, after the work."""
        told = self._driver.facts() if self._driver is not None else {}
        platform_ = {"rocm": self._hip} if self._hip else {"cuda": torch.version.cuda}
        return {"device": self._cuda.get_device_name(self._device), "torch": torch.__version__, **platform_, **told}


class AppleDevice:
    """The GPU of an Apple chip, which shares its memory with the processors: `driver` is all that Metal has taken."""

    def __init__(self, mps: Any = torch.mps) -> None:
        self._mps = mps

    def synchronise(self) -> None:
        """Wait for the GPU's queue."""
        self._mps.synchronize()

    def memory(self) -> Memory:
        """By torch, by Metal, and of the process."""
        return {
            "tensors": int(self._mps.current_allocated_memory()),
            "driver": int(self._mps.driver_allocated_memory()),
            **own_memory(),
        }

    def peak(self) -> Memory:
        """Metal keeps no peak."""
        return {"tensors": None, "driver": None, **own_peak()}

    def reset_peak(self) -> bool:
        """There is none."""
        return False

    def free(self) -> int:
        """Bytes free in the memory that the GPU shares."""
        return free_memory(torch.device("mps"))

    def joules(self) -> float | None:
        """Not told without root."""
        return None

    def busy(self) -> float | None:
        """Not told."""
        return None

    def others(self) -> tuple[str, ...]:
        """Not told."""
        return ()

    def facts(self) -> dict[str, Factor | None]:
        """The chip."""
        return {"device": platform.processor() or platform.machine(), "torch": torch.__version__}


class OtherDevice(CpuDevice):
    """An accelerator that torch serves and nobody here has measured: it is waited for, and tells nothing else.

    Memory is that of the process on the host.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def synchronise(self) -> None:
        """Wait for the accelerator."""
        torch.accelerator.synchronize(self._device)

    def joules(self) -> float | None:
        """The processors' energy is not the accelerator's."""
        return None

    def facts(self) -> dict[str, Factor | None]:
        """Its name in torch."""
        return {"device": str(self._device), "torch": torch.__version__}


def open_device(device: torch.device) -> Device:
    """Return the interface of a device that torch has."""
    if device.type == "cpu":
        return CpuDevice()
    if device.type == "cuda":
        # By its UUID: torch and the driver may count the GPUs of a machine differently.
        uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
        known = f"GPU-{uuid}" if uuid is not None and torch.version.hip is None else f"cuda:{device.index or 0}"
        return GpuDevice(device, find_driver(known))
    return AppleDevice() if device.type == "mps" else OtherDevice(device)
