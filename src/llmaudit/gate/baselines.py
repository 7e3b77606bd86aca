"""Where baselines are: found by name, and accepted for later runs."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

from llmaudit.errors import RunError
from llmaudit.run import Run, load_run

__all__ = ["ACCEPTED", "MODEL_PREFIX", "accept", "find_baseline"]

#: What `--baseline` calls the run that was accepted last, and the folder of reports that keeps it.
ACCEPTED = "accepted"
_FOLDER = "baseline"
#: `--baseline model:NAME` runs that model first.
MODEL_PREFIX = "model:"
_KEPT = ("samples.jsonl.gz", "report.html", "summary.md")


def find_baseline(name: str, *, start: Path, reports: Path) -> Run:
    """Load the run that a name stands for: a run's folder, its run.json, `latest`, or `accepted`.

    Relative paths start at `start`, the two words at the folder of reports. Raises RunError where there is no run, with
    the nearest one there is, and where it is damaged, of a newer schema, or cannot be compared with anything.
    """
    path = {"latest": reports / "latest", ACCEPTED: reports / _FOLDER}.get(name, start / name)
    if name == ACCEPTED and not path.exists():
        raise RunError(f"{path}: no baseline was accepted yet; make one with --baseline-update")
    if not path.exists():
        raise RunError(f"{path}: there is no run here{_nearest(name, start, reports)}")
    run = load_run(path)
    if run.smoke:
        raise RunError(f"{path}: a smoke run measures nothing that a model could be judged against")
    if not any(audit.estimates for audit in run.audits):
        raise RunError(f"{path}: this run measured nothing; every audit of it was skipped or broke")
    return run


def accept(run: Run, reports: Path) -> Path:
    """Copy a run as the one that `accepted` names, and return its folder there.

    Raises RunError where the run is no base to judge others by: a smoke run, one that has errors, was interrupted or
    narrowed, or that has no folder.
    """
    if (problem := _unacceptable(run)) is not None:
        raise RunError(f"not accepted as the baseline: {problem}")
    if run.folder is None:
        raise AssertionError("a run that was written knows its folder")
    target, half = reports / _FOLDER, reports / f"{_FOLDER}.half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    for name in ("run.json", *_KEPT):
        if (run.folder / name).is_file():
            shutil.copyfile(run.folder / name, half / name)
    # Named at the end, so that half a copy is never taken for a baseline.
    shutil.rmtree(target, ignore_errors=True)
    half.rename(target)
    return target


def _unacceptable(run: Run) -> str | None:
    broken = [record for record in run.records if record.verdict == "error"]
    if run.smoke:
        return "a smoke run judges nothing"
    if broken:
        return f"{len(broken)} checks ended in an error, the first of them {broken[0].audit}::{broken[0].check}"
    if not run.complete:
        return "the run was interrupted"
    for suite in run.suites:
        ran = sum(record.suite == suite.name for record in run.records)
        if ran < suite.checks:
            return f"only {ran} of the {suite.checks} checks of {suite.path} were selected"
    return None


def _nearest(name: str, start: Path, reports: Path) -> str:
    found = [str(_short(file.parent, start)) for file in sorted(reports.glob("*/*/run.json"))]
    close = difflib.get_close_matches(name.rstrip("/"), found, n=1, cutoff=0.3)
    return f"; the nearest is {close[0]}" if close else "; give a run's folder, its run.json, latest, or model:NAME"


def _short(path: Path, start: Path) -> Path:
    return path.relative_to(start) if path.is_relative_to(start) else path
