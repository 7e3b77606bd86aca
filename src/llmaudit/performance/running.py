"""Launches, run one after the other on a device that is quiet; one that crashes or hangs costs itself only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from llmaudit.engines.drivers import find_driver
from llmaudit.engines.host import Watch
from llmaudit.engines.launches import LaunchFailure, LaunchResult, LaunchSpec, Outcome, parse_outcome
from llmaudit.environment import mask_secrets

__all__ = ["Looking", "ProcessRunner", "Runner", "Waiting", "busy_share", "run_launches"]

#: What is run in a fresh interpreter.
_MODULE = "llmaudit.engines.hf.launch"
#: Seconds over which the processors are watched: twenty ticks of the system's clock.
_WINDOW = 0.2
#: Variables that tell the libraries behind torch how many threads to make.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
#: Length of what is quoted from the last line of an error.
_QUOTED = 300


class Runner(Protocol):
    """Whatever runs one launch: a process, or a record of one where the rules around it are shown."""

    def __call__(self, spec: LaunchSpec, /) -> Outcome:
        """Run one launch; nothing that goes wrong in it is raised."""


#: Says what share of a device others use at the moment, in [0, 1]; None where nothing tells. Takes its name.
Looking = Callable[[str], float | None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long to wait for a quiet device before a launch."""

    quiet: float = 0.1
    """Share of the device that others may use, in [0, 1]."""
    seconds: float = 10.0
    """Wait at most so long in front of each launch, then launch on a loud device; the result tells."""
    between: float = 0.5
    """Seconds from one look to the next."""


def run_launches(
    specs: Iterable[LaunchSpec], run: Runner, waiting: Waiting | None = None, look: Looking | None = None
) -> Iterator[Outcome]:
    """Run launches in their order, each on a quiet device if one can be had; yields each as it ends.

    A result tells what share of the device others used just before (`busy_before`; the larger of what is seen from here
    and from inside the launch) and how long was waited, where it was. Once the waiting was in vain, the next launches
    wait a single look: a machine that is never quiet must not cost its bound ten times.
    """
    patience, looking = waiting or Waiting(), look or busy_share
    hopeful = True
    for spec in specs:
        bound = patience if hopeful else replace(patience, seconds=0.0)
        busy, waited = _wait(spec.options.device, bound, looking)
        hopeful = busy is None or busy <= patience.quiet
        outcome = run(spec)
        if isinstance(outcome, LaunchResult):
            told = (f"Waited {waited:.0f} s for a quiet device.",) if waited >= 1 else ()
            known = [share for share in (busy, outcome.busy_before) if share is not None]
            outcome = replace(outcome, busy_before=max(known, default=None), remarks=(*outcome.remarks, *told))
        yield outcome


def _wait(device: str, waiting: Waiting, look: Looking) -> tuple[float | None, float]:
    """Return the share that others use at the end, and the seconds that it took to wait for that."""
    started = time.monotonic()
    while True:
        busy = look(device)
        waited = time.monotonic() - started
        if busy is None or busy <= waiting.quiet or waited >= waiting.seconds:
            return busy, waited
        time.sleep(waiting.between)


def busy_share(device: str) -> float | None:
    """Share of a device that others use now, in [0, 1]: of the processors, or of a GPU if that is larger.

    Looks for a fifth of a second. A GPU counts as used while anything runs on it; its launch needs processors too.
    """
    watch = Watch()
    time.sleep(_WINDOW)
    shares = [watch.others()]
    if device.startswith(("cuda", "auto")) and (gpu := find_driver("cuda" if device == "auto" else device)):
        shares.append(gpu.busy())
    return max((share for share in shares if share is not None), default=None)


@dataclass(frozen=True, slots=True)
class ProcessRunner:
    """Runs a launch in a fresh interpreter, which is killed with all that it started if it takes too long."""

    timeout: float = 300.0
    """Seconds that one launch may take."""
    command: tuple[str, ...] = (sys.executable, "-P", "-m", _MODULE)
    """What is run, before the files of the spec and of the outcome; files of the folder at hand are not imported."""

    def __call__(self, spec: LaunchSpec) -> Outcome:
        """Run one launch: a result, or why there is none."""
        with tempfile.TemporaryDirectory(prefix="llmaudit-launch-") as place:
            folder = Path(place)
            asked, answered, said = folder / "spec.json", folder / "outcome.json", folder / "said.txt"
            asked.write_text(spec.to_json(), encoding="utf-8")
            started = time.monotonic()
            code = self._run([*self.command, str(asked), str(answered)], said, _environment(spec))
            seconds = time.monotonic() - started
            if code is None:
                why = f"took longer than {self.timeout:g} s and was killed"
                return LaunchFailure(spec.arm, spec.number, "hung", why, seconds)
            if code == 0 and answered.is_file():
                return _read(spec, answered, seconds)
            return LaunchFailure(spec.arm, spec.number, "crashed", _crash(code, said), seconds)

    def _run(self, command: list[str], said: Path, environment: Mapping[str, str]) -> int | None:
        """Return the exit status, negative for a signal; None where the time was up."""
        with said.open("wb") as stream:
            process = subprocess.Popen(  # noqa: S603 - our own module, and files of our own making
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stream,
                env=environment,
                # A group of its own, so that what it starts is killed with it.
                start_new_session=True,
            )
        try:
            return process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            # Also where the user has lost patience: nothing may go on timing behind the next launch.
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass  # it has ended by itself, with all that it started
    process.wait()


def _environment(spec: LaunchSpec) -> dict[str, str]:
    threads = {name: str(spec.threads) for name in _THREADS} if spec.threads is not None else {}
    return {**os.environ, **threads}


def _read(spec: LaunchSpec, answered: Path, seconds: float) -> Outcome:
    try:
        outcome = parse_outcome(answered.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return LaunchFailure(spec.arm, spec.number, "crashed", f"left an unreadable outcome ({error})", seconds)
    return replace(outcome, seconds=seconds) if isinstance(outcome, LaunchFailure) else outcome


def _crash(code: int, said: Path) -> str:
    if code == -getattr(signal, "SIGKILL", 9):
        return "was killed from outside; the system does that when the memory runs out"
    how = f"ended by signal {-code}" if code < 0 else f"ended with status {code}"
    lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{how}: {mask_secrets(lines[-1])[:_QUOTED]}" if lines else how
