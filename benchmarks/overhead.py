"""What the default audit costs around its engine: collection, statistics, the store, the report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.engine_clock import VARIABLE, Clock
from benchmarks.figures import Figure, Outcome
from llmaudit.cachedir import cache_folder
from llmaudit.engines.hf.files import local_folder
from llmaudit.engines.models import resolve

__all__ = ["overhead", "overhead_share"]

_CHECKOUT = Path(__file__).parents[1]


def overhead(model: str) -> Outcome:
    """Run the default audit once, in a process of its own, with a store that is in use and empty.

    All of it in a quick run too: what the report costs is a larger share of a smaller audit.
    """
    local_folder(resolve(model, {}))  # converts the model where need be: that is done once, not at every audit
    with tempfile.TemporaryDirectory() as scratch:
        try:
            wall, clock = _audit(model, Path(scratch))
        except RuntimeError as error:
            table.report(table.row_without_numbers("overhead: default audit", str(error)))
            return Outcome({"overhead_share": Figure(None, str(error))})
    around = wall - clock.engine - clock.loading
    rows = {"whole process": wall, "waiting for the engine": clock.engine, "loading the model": clock.loading}
    for name, seconds in {**rows, "around the engine": around}.items():
        table.report(table.row(f"overhead: {name}", seconds, clock.answers, clock.answers / seconds))
    note = f"of one audit of {wall:.1f} s"
    return Outcome({"overhead_share": Figure(overhead_share(wall, clock), note)})


def overhead_share(wall: float, clock: Clock) -> float:
    """The share of a process that was neither loading its model nor waiting for it."""
    return (wall - clock.engine - clock.loading) / wall


def _audit(model: str, scratch: Path) -> tuple[float, Clock]:
    command = [sys.executable, "-m", "pytest", "suites/", "--model", model, "--report-dir", str(scratch / "reports")]
    command += ["-p", "benchmarks.engine_clock"]
    table.progress(f"overhead: {' '.join(command[1:])}")
    clock = scratch / "clock.json"
    environment = {**os.environ, "LLMAUDIT_CACHE": str(_empty_store(scratch)), VARIABLE: str(clock)}
    started = time.perf_counter()
    done = _run(command, environment)
    wall = time.perf_counter() - started
    # Failed checks are findings about the model: the audit has run to its end.
    if done.returncode not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} or not clock.is_file():
        last, *_ = done.stdout.strip().splitlines()[-1:] or ["no output"]
        raise RuntimeError(f"the audit ended with exit status {done.returncode}: {last}")
    return wall, Clock(**json.loads(clock.read_text(encoding="utf-8")))


def _run(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        command,
        cwd=_CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _empty_store(scratch: Path) -> Path:
    """A cache that knows the converted model and the hashes of weights, and no answer."""
    real, cache = cache_folder(), scratch / "cache"
    cache.mkdir()
    if (real / "gguf").is_dir():
        (cache / "gguf").symlink_to(real.resolve() / "gguf", target_is_directory=True)
    if (real / "hashes").is_dir():
        shutil.copytree(real / "hashes", cache / "hashes")
    return cache
