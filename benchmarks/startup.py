"""What a pytest session without suites pays for the plugin being installed."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import table
from benchmarks.figures import Figure, Outcome

__all__ = ["paired", "startup"]

_PAIRS = 21
_QUICK_PAIRS = 7
_VARIABLE = "LLMAUDIT_BENCH_IMPORTED"
#: The test sees to it that each session is what it is taken for.
_TEST = f"""\
import os
import sys


def test_nothing():
    assert ("llmaudit.pytest_plugin" in sys.modules) is (os.environ[{_VARIABLE!r}] == "True")
"""


def startup(*, quick: bool) -> Outcome:
    """Start sessions with and without the plugin by turns."""
    pairs = _QUICK_PAIRS if quick else _PAIRS
    table.progress(f"startup: {pairs} pairs of sessions")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "test_nothing.py").write_text(_TEST, encoding="utf-8")
        try:
            timed = _alternate(folder, pairs)
        except RuntimeError as error:
            table.report(table.row_without_numbers("startup: empty session", str(error)))
            return Outcome({"plugin_startup_ms": Figure(None, str(error))})
    for plugin, name in ((True, "with the plugin"), (False, "without the plugin")):
        rate = 1 / statistics.median(timed[plugin])
        table.report(table.row(f"startup: {name}", sum(timed[plugin]), pairs, rate))
    return Outcome({"plugin_startup_ms": paired(timed[True], timed[False])})


def paired(with_it: Sequence[float], without_it: Sequence[float]) -> Figure:
    """The median difference of pairs, in milliseconds: a slow moment of the machine hits both of a pair."""
    differences = [1000 * (one - other) for one, other in zip(with_it, without_it, strict=True)]
    low, median, high = statistics.quantiles(differences, n=4)
    return Figure(
        median,
        f"median of {len(differences)} paired differences between sessions with and without the plugin; the middle"
        f" half {low:.3g} to {high:.3g}",
    )


def _alternate(folder: Path, pairs: int) -> dict[bool, list[float]]:
    timed: dict[bool, list[float]] = {True: [], False: []}
    for plugin in timed:  # writes the bytecode; not timed
        _session(folder, plugin=plugin)
    for number in range(pairs):
        first = number % 2 == 0
        for plugin in (first, not first):
            timed[plugin].append(_session(folder, plugin=plugin))
    return timed


def _session(folder: Path, *, plugin: bool) -> float:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += [] if plugin else ["-p", "no:llmaudit"]
    environment = {**os.environ, _VARIABLE: str(plugin)}
    started = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        last, *_ = done.stdout.strip().splitlines()[-1:] or ["no output"]
        raise RuntimeError(f"pytest {' '.join(command[3:])} ended with exit status {done.returncode}: {last}")
    return seconds
