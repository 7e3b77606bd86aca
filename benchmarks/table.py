"""The table of timings: one line per row, as the rows finish."""

from __future__ import annotations

import sys

__all__ = ["progress", "report", "row", "row_without_numbers", "title"]

_WIDTH = 38


def title() -> str:
    """The header line."""
    return f"{'name':<{_WIDTH}} {'seconds':>9} {'items':>7} {'items_per_s':>11}"


def row(name: str, seconds: float, items: int, rate: float) -> str:
    """One row: seconds and items of all repetitions together, and the median rate of the repetitions."""
    return f"{name:<{_WIDTH}} {seconds:>9.3f} {items:>7} {rate:>11.4g}"


def row_without_numbers(name: str, reason: str) -> str:
    """The row of a contender that could not run."""
    return f"{name:<{_WIDTH}} failed: {reason}"


def report(line: str) -> None:
    """Print a line of the result; a reader on a pipe sees it at once."""
    print(line, flush=True)


def progress(line: str) -> None:
    """Say what is going on, beside the result."""
    print(f"  {line}", file=sys.stderr, flush=True)
