"""What a session tells the CI system that it runs in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from llmaudit.report.ci import STEP_SUMMARY_BYTES, Spot, step_summary, workflow_commands
from llmaudit.report.summary import summary_markdown
from llmaudit.run import Run

__all__ = ["github_annotations", "write_step_summary"]


def write_step_summary(run: Run) -> str | None:
    """Append the summary to the file that $GITHUB_STEP_SUMMARY names; say what kept it from that, if anything did."""
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return None
    path = Path(name)
    try:
        room = STEP_SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0)
        with path.open("ab") as stream:
            stream.write(step_summary(f"{summary_markdown(run)}\n", room).encode("utf-8", "replace"))
    except OSError as error:
        return f"the step summary {path} could not be written ({error.strerror})"
    return None


def github_annotations(run: Run, places: Mapping[int, tuple[Path, int]]) -> list[str]:
    """Return the annotations of a run where GitHub Actions reads the log; `places` are files and lines from 1."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    return workflow_commands(run, {order: Spot(_below(root, path), line) for order, (path, line) in places.items()})


def _below(root: Path, path: Path) -> str:
    """Return a path as the repository knows it, or as it is where it lies elsewhere."""
    resolved, above = path.resolve(), root.resolve()
    return (resolved.relative_to(above) if resolved.is_relative_to(above) else path).as_posix()
