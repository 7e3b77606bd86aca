"""Writes a run, and the samples of its audits, to its folder."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

from llmaudit.errors import ReportError
from llmaudit.execution import Finished
from llmaudit.recording import sample_lines
from llmaudit.records import to_plain
from llmaudit.report import write_report
from llmaudit.run import Run

__all__ = ["store_run", "store_samples", "write_run"]


def write_run(run: Run, folder: Path) -> Path:
    """Write run.json, samples.jsonl.gz and the report; returns the path of report.html.

    run.json comes first, so that a report that cannot be made loses nothing.
    """
    store_run(run, folder)
    report = write_report(replace(run, folder=folder), folder)
    reports = folder.parent.parent
    (reports / "latest").write_text(f"{folder.relative_to(reports).as_posix()}\n", encoding="utf-8")
    return report


def store_run(run: Run, folder: Path) -> None:
    """Write run.json and samples.jsonl.gz. Raises ReportError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Named at the end, so that half a file is never taken for a run.
        half = folder / "run.json.half"
        half.write_text(run.to_json(), encoding="utf-8")
        half.replace(folder / "run.json")
        _join_samples(folder)
    except OSError as error:
        raise ReportError(
            f"{error.filename or folder}: the run cannot be written ({error.strerror or error}); make room or choose"
            " another --report-dir, then run again: what the store of responses holds is not asked again"
        ) from error


def store_samples(finished: Finished, folder: Path, nodeid: str) -> None:
    """Write the samples of an audit at once: a run that ends early keeps those of the audits that finished.

    Raises OSError.
    """
    parts = folder / "samples"
    parts.mkdir(parents=True, exist_ok=True)
    # Two files may call their suites alike, and two names may look alike as parts of a path.
    own = hashlib.sha256(nodeid.encode()).hexdigest()[:8]
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{finished.suite.name}.{finished.entry.name}")[:60]
    whole = parts / f"{name}.{own}.jsonl.gz"
    # Named at the end, so that half a file, of a full disk, is never taken for one.
    half = whole.with_suffix(".half")
    try:
        with gzip.open(half, "wt", encoding="utf-8") as stream:
            for line in sample_lines(finished):
                stream.write(json.dumps(to_plain(line), ensure_ascii=False, allow_nan=False) + "\n")
        half.replace(whole)
    finally:
        half.unlink(missing_ok=True)


def _join_samples(folder: Path) -> None:
    """Join the audits' files: gzip streams one after the other are one gzip file."""
    parts = folder / "samples"
    if not parts.is_dir():
        return
    with (folder / "samples.jsonl.gz").open("wb") as whole:
        for part in sorted(parts.glob("*.jsonl.gz"), key=lambda path: path.name):
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, whole)
    shutil.rmtree(parts)
