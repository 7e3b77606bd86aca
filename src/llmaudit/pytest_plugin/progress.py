"""A line that says how far a long batch is, on a terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

import pytest

__all__ = ["ProgressLine"]

#: Seconds between two updates.
_INTERVAL = 0.2


class ProgressLine:
    """Shows progress below the line that pytest is writing, and takes itself away at the end.

    Does nothing where there is no terminal to rewrite: in a log, a pipe, or a worker of pytest-xdist.
    """

    def __init__(self, config: pytest.Config, label: str) -> None:
        self._terminal: Any = config.pluginmanager.getplugin("terminalreporter")
        self._capture: Any = config.pluginmanager.getplugin("capturemanager")
        self._shown = (
            not hasattr(config, "workerinput")
            and self._terminal is not None
            and self._capture is not None
            and self._terminal.isatty
        )
        self._label = label
        self._started = time.monotonic()
        self._last = 0.0
        self._column = 0

    def __enter__(self) -> ProgressLine:
        if self._shown:
            self._column = self._terminal._tw.width_of_current_line
            self._write("\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            # Erase this line, go up to pytest's own and to the column where it stopped.
            self._write(f"\r\x1b[2K\x1b[A\x1b[{self._column + 1}G")

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` requests are answered."""
        now = time.monotonic()
        if not self._shown or (now - self._last < _INTERVAL and 0 < done < total):
            return
        self._last = now
        spent = now - self._started
        left = f", about {_duration(spent / done * (total - done))} left" if 0 < done < total else ""
        self.say(f"{done:,}/{total:,} answers in {_duration(spent)}{left}")

    def say(self, text: str) -> None:
        """Show a text instead of a count."""
        if self._shown:
            width = self._terminal._tw.fullwidth - 1
            self._write(f"\r\x1b[2K{f'  {self._label}: {text}'[:width]}")

    def _write(self, text: str) -> None:
        with self._capture.global_and_fixture_disabled():
            stream = self._terminal._tw._file
            stream.write(text)
            stream.flush()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
