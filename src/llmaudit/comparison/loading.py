"""Reads the runs to compare, with the nearest one where a path names none."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from llmaudit.errors import RunError
from llmaudit.run import Run, load_run

__all__ = ["load_runs"]

#: Runs that are looked at for the nearest name.
_LOOKED_AT = 500


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """Read two runs or more. Raises RunError where there are fewer, one is given twice, or one cannot be read."""
    if len(paths) < 2:
        raise RunError("a comparison needs two runs or more: give the folder or the run.json of each")
    runs: dict[str, Run] = {}
    for path in paths:
        run = _load(path)
        if run.run_id in runs:
            raise RunError(f"{path}: this run is given twice ({run.run_id})")
        runs[run.run_id] = run
    return list(runs.values())


def _load(path: Path) -> Run:
    try:
        return load_run(path)
    except RunError as error:
        if path.is_file() or (path / "run.json").is_file():
            raise
        near = _nearest(path)
        raise RunError(f"{error}; did you mean {near}?" if near else str(error)) from None


def _nearest(path: Path) -> Path | None:
    """The newest run below a folder, else the run whose path is most like this one."""
    if path.is_dir():
        # Runs are named by their start.
        return max(_runs_below(path), key=lambda run: run.name, default=None)
    parents = [parent for parent in path.parents if parent.is_dir()][:1]
    found = {str(run): run for parent in parents for run in _runs_below(parent)}
    if close := get_close_matches(str(path), found, n=1):
        return found[close[0]]
    # `reports/gpt2` for a run of reports/distilgpt2/<start>: the folder's name is what was meant.
    folders = {str(run.parent): run for run in sorted(found.values(), key=lambda run: run.name)}
    close = get_close_matches(str(path), folders, n=1)
    return folders[close[0]] if close else None


def _runs_below(folder: Path) -> list[Path]:
    patterns = ("*/run.json", "*/*/run.json")
    return [file.parent for pattern in patterns for file in islice(folder.glob(pattern), _LOOKED_AT)]
