"""Launches, run one after the other on a device that is quiet; one that crashes or hangs costs itself only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

import psutil

from llmaudit.engines.drivers import find_driver
from llmaudit.engines.host import Watch
from llmaudit.engines.launches import READY, LaunchFailure, LaunchResult, LaunchSpec, Outcome, parse_outcome
from llmaudit.environment import mask_secrets

__all__ = ["Looking", "ProcessRunner", "Runner", "Waiting", "Wanted", "busy_share", "run_launches"]

#: What is run in a fresh interpreter.
_MODULE = "llmaudit.engines.hf.launch"
#: Seconds over which the processors are watched: twenty ticks of the system's clock.
_WINDOW = 0.2
#: Variables that tell the libraries behind torch how many threads to make.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
#: How many processes are made ready side by side: importing torch and transformers takes one processor for seconds,
#: and a process that is ready takes none.
_ABREAST = min(4, os.cpu_count() or 1)
#: Seconds between two looks at whether they are ready; nothing is timed meanwhile.
_GLANCE = 0.02
#: Seconds that a killed process is waited for: one that the driver of a GPU holds may never end.
_DYING = 10.0
#: Length of what is quoted from the last line of an error.
_QUOTED = 300


class Runner(Protocol):
    """Whatever runs one launch: a process, or a record of one where the rules around it are shown."""

    def prepare(self, specs: Sequence[LaunchSpec], /) -> None:
        """Bring launches to where they would begin, side by side; what is ready waits idly for its turn."""

    def __call__(self, spec: LaunchSpec, /) -> Outcome:
        """Run one launch; nothing that goes wrong in it is raised."""

    def discard(self) -> None:
        """End the launches that were prepared and never run."""


#: Whether a launch is still of use; asked again in its turn, as what ran before it may tell.
Wanted = Callable[[LaunchSpec], bool]
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
    specs: Iterable[LaunchSpec],
    run: Runner,
    waiting: Waiting | None = None,
    look: Looking | None = None,
    wanted: Wanted | None = None,
) -> Iterator[Outcome]:
    """Run launches in their order, each on a quiet device if one can be had; yields each as it ends.

    A result tells what share of the device others used just before (`busy_before`; the larger of what is seen from here
    and from inside the launch) and how long was waited, where it was. Once the waiting was in vain, the next launches
    wait a single look: a machine that is never quiet must not cost its bound ten times. A launch that is not `wanted`
    any more is left out.
    """
    patience, looking = waiting or Waiting(), look or busy_share
    hopeful = True
    try:
        for spec in _prepared(specs, run, wanted or _every):
            bound = patience if hopeful else replace(patience, seconds=0.0)
            busy, waited = _wait(spec.options.device, bound, looking)
            hopeful = busy is None or busy <= patience.quiet
            outcome = run(spec)
            if isinstance(outcome, LaunchResult):
                told = (f"Waited {waited:.0f} s for a quiet device.",) if waited >= 1 else ()
                known = [share for share in (busy, outcome.busy_before) if share is not None]
                outcome = replace(outcome, busy_before=max(known, default=None), remarks=(*outcome.remarks, *told))
            yield outcome
    finally:
        run.discard()


def _every(spec: LaunchSpec) -> bool:  # noqa: ARG001 - one of several of this shape
    return True


def _prepared(specs: Iterable[LaunchSpec], run: Runner, wanted: Wanted) -> Iterator[LaunchSpec]:
    left = filter(wanted, specs)
    while group := list(islice(left, _ABREAST)):
        run.prepare(group)
        # Asked once more: of two launches made ready side by side the first may show that the second is of no use.
        yield from filter(wanted, group)
        run.discard()


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
class _Process:
    """A launch that has been started, and waits for the word on its standard input."""

    process: subprocess.Popen[bytes]
    folder: tempfile.TemporaryDirectory[str]

    @property
    def outcome(self) -> Path:
        return _outcome(Path(self.folder.name))

    @property
    def said(self) -> Path:
        return _said(Path(self.folder.name))

    @property
    def settled(self) -> bool:
        """Whether it is ready, or has ended before it was."""
        return self.outcome.with_suffix(READY).exists() or self.process.poll() is not None

    def go(self) -> None:
        """Let it begin. Its input stays open: it ends by itself when that closes, so that it never outlives us."""
        if self.process.stdin is not None:
            with suppress(OSError):  # it has ended already
                self.process.stdin.write(b"go\n")
                self.process.stdin.flush()

    def end(self) -> None:
        """Kill it, with all that it started, and leave nothing of it behind."""
        _kill(self.process)
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()
        self.folder.cleanup()


@dataclass(frozen=True, slots=True)
class ProcessRunner:
    """Runs a launch in a fresh interpreter, which is killed with all that it started if it takes too long."""

    timeout: float = 300.0
    """Seconds that one launch may take."""
    command: tuple[str, ...] = (sys.executable, "-P", "-m", _MODULE)
    """What is run, before the files of the spec and of the outcome; files of the folder at hand are not imported."""
    _ready: dict[tuple[str, int], _Process | LaunchFailure] = field(default_factory=dict)
    """Arm and number of a launch -> its process, or why there is none."""

    def prepare(self, specs: Sequence[LaunchSpec]) -> None:
        """Start interpreters that import what they need, and wait until all have.

        One that has not after `timeout` is ended: it would go on importing while others are timed.
        """
        for spec in specs:
            self._ready[spec.arm, spec.number] = self._start(spec)
        deadline = time.monotonic() + self.timeout
        while (late := self._unsettled()) and time.monotonic() < deadline:
            time.sleep(_GLANCE)
        for (arm, number), process in late.items():
            process.end()
            why = f"was not ready after {self.timeout:g} s and was killed"
            self._ready[arm, number] = LaunchFailure(arm, number, "hung", why, self.timeout)

    def _unsettled(self) -> dict[tuple[str, int], _Process]:
        return {key: each for key, each in self._ready.items() if isinstance(each, _Process) and not each.settled}

    def discard(self) -> None:
        """End what was prepared and never run."""
        while self._ready:
            _, each = self._ready.popitem()
            if isinstance(each, _Process):
                each.end()

    def __call__(self, spec: LaunchSpec) -> Outcome:
        """Run one launch: a result, or why there is none."""
        started = self._ready.pop((spec.arm, spec.number), None) or self._start(spec)
        if isinstance(started, LaunchFailure):
            return started
        try:
            began = time.monotonic()
            started.go()
            try:
                code = started.process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                why = f"took longer than {self.timeout:g} s and was killed"
                return LaunchFailure(spec.arm, spec.number, "hung", why, time.monotonic() - began)
            seconds = time.monotonic() - began
            if code == 0 and started.outcome.is_file():
                return _read(spec, started.outcome, seconds)
            return LaunchFailure(spec.arm, spec.number, "crashed", _crash(code, started.said), seconds)
        finally:
            # Also where the user has lost patience: nothing may go on timing behind the next launch.
            started.end()

    def _start(self, spec: LaunchSpec) -> _Process | LaunchFailure:
        try:
            with ExitStack() as undone:
                # What a process on Windows may hold a moment longer than it lives is left to the system.
                folder = tempfile.TemporaryDirectory(prefix="llmaudit-launch-", ignore_cleanup_errors=True)
                undone.callback(folder.cleanup)
                process = self._spawn(spec, Path(folder.name))
                undone.pop_all()
        except OSError as error:  # no place on the disk, or no room for a further process
            return LaunchFailure(spec.arm, spec.number, "crashed", f"could not be started ({error.strerror})")
        return _Process(process, folder)

    def _spawn(self, spec: LaunchSpec, place: Path) -> subprocess.Popen[bytes]:
        asked = place / "spec.json"
        asked.write_text(spec.to_json(), encoding="utf-8")
        with _said(place).open("wb") as stream:
            return subprocess.Popen(  # noqa: S603 - our own module, and files of our own making
                [*self.command, str(asked), str(_outcome(place))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=stream,
                env=_environment(spec),
                # A group of its own, so that what it starts is killed with it.
                start_new_session=True,
            )


def _outcome(folder: Path) -> Path:
    return folder / "outcome.json"


def _said(folder: Path) -> Path:
    return folder / "said.txt"


def _kill(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # it has ended by itself, with all that it started
            os.killpg(process.pid, signal.SIGKILL)
    else:  # Windows, which has no groups to kill, and forgets whose child a process is as soon as the parent ends
        with suppress(psutil.Error):
            for each in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    each.kill()
        process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_DYING)


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
