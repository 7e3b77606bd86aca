"""What all tests share."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

pytest_plugins = ["pytester"]

# A machine that does something else makes no property wrong.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# A suite is collected wherever it lies; this one is an example, and has no model here.
collect_ignore_glob = ["plugin_example/*.audit.yaml"]


@pytest.fixture(scope="session")
def same() -> Callable[[Path], tuple[Any, bytes]]:
    """What two runs of one command have in common, times apart: of a run's folder, or of the file that names it."""
    return _same


def _same(place: Path) -> tuple[dict[str, Any], bytes]:
    folder = place if place.is_dir() else place.parent / place.read_text(encoding="utf-8").strip()
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    # Which attempt a run is depends on those before it.
    for name in ("run_id", "started", "finished", "attempts"):
        del run[name]
    for timing in [*run["timings"].values(), *(audit["timing"] for audit in run["audits"])]:
        del timing["seconds"], timing["engine_seconds"], timing["kept"]
    return run, gzip.decompress((folder / "samples.jsonl.gz").read_bytes())
