"""The runs that a folder of reports holds: which there are, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from llmaudit.errors import RunError
from llmaudit.run import Run, load_run
from llmaudit.types import ModelInfo

__all__ = ["MOST_RUNS", "earlier_runs", "run_files", "same_form"]

#: How many runs are looked at: a run takes a moment to read, and a folder of reports may hold a year of them.
MOST_RUNS = 20


def run_files(reports: Path, folder: str | None = None) -> list[Path]:
    """Return every run.json below a folder of reports, `reports/<model>/<start>/run.json`, newest first.

    `folder` names the one model's folder to look in; all of them where left out. Nothing is read.
    """
    found = (reports / folder).glob("*/run.json") if folder else reports.glob("*/*/run.json")
    return sorted(found, key=lambda file: file.parent.name, reverse=True)


def earlier_runs(
    reports: Path, folder: str | None = None, *, but: str | None = None, most: int = MOST_RUNS
) -> Iterator[Run]:
    """Yield the newest runs of a folder of reports, newest first, `most` at the most; what cannot be read is passed.

    `folder` names the one model's folder to look in, `but` one to leave out.
    """
    files = [file for file in run_files(reports, folder) if file.parent.parent.name != but]
    for file in files[:most]:
        try:
            yield load_run(file.parent)
        except RunError:
            continue


def same_form(model: ModelInfo, *, quantization: str | None, dtype: str, device: str = "auto") -> bool:
    """Whether a model had the form that is asked for now; `auto` gave what it would give again."""
    return (
        model.quantization == quantization
        and dtype in {"auto", model.dtype}
        and (device == "auto" or (model.device or "").startswith(device))
    )
