"""Writes a run to its folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from llmaudit.errors import ReportError
from llmaudit.report import write_report
from llmaudit.run import Run

__all__ = ["write_run"]


def write_run(run: Run, folder: Path) -> Path:
    """Write run.json, samples.jsonl.gz and the report; returns the path of report.html.

    run.json comes first, so that a report that cannot be made loses nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
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
    report = write_report(replace(run, folder=folder), folder)
    reports = folder.parent.parent
    (reports / "latest").write_text(f"{folder.relative_to(reports).as_posix()}\n", encoding="utf-8")
    return report


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
