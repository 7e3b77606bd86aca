"""What the machine itself tells without torch: who uses its processors, its memory, the energy it has drawn."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["EnergyMeter", "Watch", "free_memory", "own_memory", "own_peak", "reset_own_peak"]

#: What a container may use, and uses: the machine's free memory says nothing of it.
_CONTAINER = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
#: What the kernel takes for "forget the high-water mark" (proc(5), clear_refs).
_FORGET_PEAK = "5"
#: Counters of energy of processor packages (Linux, powercap); since 2020 mostly readable by root only.
_POWERCAP = Path("/sys/class/powercap")
_PACKAGE = re.compile(r"intel-rapl:\d+")


class Watch:
    """How much of the processors others use, from its making on.

    Others are whoever is not this process and no child of it. Time that a hypervisor took counts as theirs. The clock
    behind it ticks a hundred times a second: watch a fifth of a second at least.
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._machine, self._own = _machine_seconds(), _own_seconds()

    def others(self) -> float | None:
        """Share of all processors that others used so far, in [0, 1]; None where no time has passed."""
        passed = (time.perf_counter() - self._started) * (psutil.cpu_count() or 1)
        if passed <= 0:
            return None
        used = (_machine_seconds() - self._machine) - (_own_seconds() - self._own)
        return min(1.0, max(0.0, used / passed))


def _own_seconds() -> float:
    """Processor seconds of this process and its children, living and ended."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.Error):  # it ended in between
            total += sum(process.cpu_times()[:4])
    return total


def _machine_seconds() -> float:
    """Processor seconds that anybody used since the machine started."""
    times = psutil.cpu_times()
    # The time of guests is part of that of users already.
    idle = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(value for name, value in times._asdict().items() if name not in idle))


def free_memory() -> int:
    """Bytes that can be had without swapping: of the machine, or of the container where that has fewer."""
    free = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no container, or one without a limit
        most, used = (int(file.read_text(encoding="ascii")) for file in _CONTAINER)
        free = min(free, most - used)
    return free


def own_memory() -> dict[str, int | None]:
    """Bytes that this process holds: `rss` resident, `uss` its own alone (shared libraries and files left out)."""
    try:
        full = psutil.Process().memory_full_info()
    except psutil.Error:
        return {"rss": int(psutil.Process().memory_info().rss), "uss": None}
    return {"rss": int(full.rss), "uss": int(full.uss)}


def own_peak() -> dict[str, int | None]:
    """The most bytes that were resident since the last `reset_own_peak`, else since the process began.

    No system keeps the same for `uss`.
    """
    found = None
    with suppress(OSError, AttributeError):
        found = re.search(r"VmHWM:\s*(\d+) kB", _STATUS.read_text(encoding="ascii"))
    if found is not None:
        return {"rss": 1024 * int(found[1]), "uss": None}
    # Windows knows a peak of its own; elsewhere there is none that could be reset.
    peak = getattr(psutil.Process().memory_info(), "peak_wset", None)
    return {"rss": int(peak) if peak is not None else None, "uss": None}


def reset_own_peak() -> bool:
    """Forget the peak so far; False where the system cannot."""
    try:
        _CLEAR.write_text(_FORGET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


class EnergyMeter:
    """Joules that the processors drew, by the counters of their packages; they wrap around every few minutes."""

    def __init__(self, folder: Path = _POWERCAP) -> None:
        packages = [place for place in sorted(folder.glob("*")) if _PACKAGE.fullmatch(place.name)]
        self._counters = [place / "energy_uj" for place in packages]
        self._ranges = [_number(place / "max_energy_range_uj") for place in packages]
        self._last = self._read()
        self._total = 0

    def joules(self) -> float | None:
        """Joules since this meter was made; None where the system does not tell.

        Ask at least once a minute: of two turns of a counter only one is seen.
        """
        now = self._read()
        if now is None or self._last is None:
            return None
        for before, after, turn in zip(self._last, now, self._ranges, strict=True):
            self._total += after - before if after >= before else after - before + (turn or 0)
        self._last = now
        return self._total / 1e6

    def _read(self) -> list[int] | None:
        """Microjoules of every package; None where there is none, or where one cannot be read."""
        values = [_number(counter) for counter in self._counters]
        known = [value for value in values if value is not None]
        return known if known and len(known) == len(values) else None


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
