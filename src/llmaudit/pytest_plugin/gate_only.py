"""--gate-only: ten lines in place of pytest's report."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from llmaudit.run import Run

__all__ = ["GateOnly"]


class GateOnly:
    """Keeps back what pytest writes to the terminal; shown after all where there is no verdict to show."""

    def __init__(self, terminal: Any) -> None:
        # Whoever else writes to the terminal, such as pytest-xdist, has this very writer.
        self._terminal = terminal
        self._file = terminal._tw._file
        self._kept = io.StringIO()
        terminal._tw._file = self._kept
        terminal._tw.hasmarkup = False

    @property
    def others(self) -> int:
        """How many tests beside the checks failed or broke."""
        stats: dict[str, list[Any]] = self._terminal.stats
        reports = [report for word in ("failed", "error") for report in stats.get(word, ())]
        return sum(not hasattr(report, "llmaudit") for report in reports)

    def conclude(self, run: Run, report: Path | None, exitstatus: int) -> None:
        """Write the ten lines."""
        from llmaudit.report.ci import gate_lines  # noqa: PLC0415 - needed with records only

        path = None if report is None else os.path.relpath(report)
        passed = exitstatus == pytest.ExitCode.OK
        for line in gate_lines(run, path, passed=passed, others=self.others):
            self.write_line(line)

    def give_up(self) -> None:
        """Write all that was kept back: there is no verdict."""
        self._write(self._kept.getvalue())

    def write_line(self, line: str) -> None:
        """Write a line to the terminal itself."""
        self._write(f"{line}\n")

    def _write(self, text: str) -> None:
        encoding = getattr(self._file, "encoding", None) or "utf-8"
        self._file.write(text.encode(encoding, "replace").decode(encoding))
        self._file.flush()
