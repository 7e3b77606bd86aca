"""Figures of one row per thing: points with intervals, and bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llmaudit.exhibits import Bars, Intervals, Table
from llmaudit.report.colours import DATA, INK, MARK
from llmaudit.report.format import interval, number, printable, shortened

__all__ = ["ROWS", "Rows", "caption", "description", "height", "paint", "table"]

Rows = Intervals | Bars

#: Rows that fit on a printed page; a longer figure goes on in a further picture on the same scale.
ROWS = 40

#: Longest row label, in characters; the data table holds it in full.
_LABEL = 34

#: Rows that the text alternative reads out.
_SPOKEN = 12


def caption(figure: Rows) -> str:
    """Say how to read a figure."""
    if isinstance(figure, Bars):
        return "" if figure.reference is None else f"Dashed: the reference, {number(figure.reference)}."
    lines = "Points are estimates, lines their intervals."
    if figure.limits:
        lines += f" Dashed: the limit, {' and '.join(map(number, sorted(figure.limits)))}."
    return lines


def description(figure: Rows, start: int) -> str:
    """Read a picture out."""
    rows = _finite(figure.rows[start : start + ROWS])
    kind = "Forest plot" if isinstance(figure, Intervals) else "Bar chart"
    spoken = "; ".join(f"{row[0]}: {_numbers(row)}" for row in rows[:_SPOKEN])
    rest = f"; and {len(rows) - _SPOKEN} more in the table" if len(rows) > _SPOKEN else ""
    return f"{kind} of {len(rows)} rows. {figure.axis}. {spoken}{rest}. {caption(figure)}".strip()


def table(figure: Rows) -> Table:
    """The numbers of a figure."""
    columns = ("Row", "Value", "Low", "High") if isinstance(figure, Intervals) else ("Row", "Value")
    return Table(f"{figure.title}: {figure.axis}", columns, tuple(figure.rows))


def height(figure: Rows, start: int) -> float:
    """Height of a picture in inches."""
    return 0.24 * max(len(figure.rows[start : start + ROWS]), 1) + 0.8


def paint(canvas: Any, figure: Rows, start: int) -> None:
    """Draw the rows from `start` on, as many as one picture holds."""
    axes = canvas.add_subplot()
    _draw_rows(axes, figure, _finite(figure.rows[start : start + ROWS]))


def _draw_rows(axes: Any, figure: Rows, rows: Sequence[tuple[Any, ...]]) -> None:
    heights = range(len(rows))
    if isinstance(figure, Bars):
        axes.barh(heights, [row[1] or 0.0 for row in rows], height=0.6, color=DATA)
        marks, word = [] if figure.reference is None else [figure.reference], "reference "
        zero = True
    else:
        _draw_intervals(axes, rows)
        marks, word = list(figure.limits), "limit "
        zero = figure.zero
    if zero:
        axes.axvline(0, color=INK, linewidth=0.8)
    for mark in marks:
        axes.axvline(mark, color=MARK, linewidth=1, linestyle=(0, (4, 2.5)))
        axes.annotate(
            word + number(mark), (mark, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            color=MARK, ha="center", va="bottom", size="small",
        )  # fmt: skip
    _write_rows(axes, rows)
    axes.set_xlim(_range(figure, [*marks, *([0.0] if zero else [])]))
    axes.set_xlabel(printable(figure.axis))
    # Beside the axis: below it, where matplotlib writes a power of ten, stands the label.
    axes.xaxis.get_offset_text().set_horizontalalignment("left")


def _draw_intervals(axes: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    for height, (_, value, low, high) in enumerate(rows):
        if low is not None and high is not None:
            axes.plot([low, high], [height, height], color=DATA, solid_capstyle="butt")
        if value is not None:
            axes.plot([value], [height], "o", color=DATA)


def _write_rows(axes: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write the label of every row at its left and its numbers at its right, the first row on top."""
    axes.set_yticks(range(len(rows)), [shortened(row[0], _LABEL) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    for height, row in enumerate(rows):
        text = _numbers(row)
        axes.annotate(
            text,
            (1, height),
            (6, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center_baseline",
        )


def _range(figure: Rows, marks: list[float]) -> tuple[float, float]:
    """Return one scale for all panels of a figure: they are read together."""
    found = [*marks, *(value for row in _finite(figure.rows) for value in row[1:] if value is not None)]
    low, high = min(found, default=0.0), max(found, default=1.0)
    if low == high:
        return low - 0.5, high + 0.5
    space = 0.05 * (high - low)
    at_zero = isinstance(figure, Bars)
    return (low if at_zero and low == 0 else low - space), (high if at_zero and high == 0 else high + space)


def _finite(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows with None for every number that has no place on an axis."""
    return [(label, *(v if v is not None and math.isfinite(v) else None for v in values)) for label, *values in rows]


def _numbers(row: Sequence[Any]) -> str:
    return interval(*row[1:]) if len(row) > 2 else number(row[1])
