"""Figures of a number per pair, as shades."""

from __future__ import annotations

import math
from typing import Any

from llmaudit.exhibits import Heatmap, Table
from llmaudit.report.colours import DATA, INK, MARK
from llmaudit.report.format import number, printable, shortened

__all__ = ["caption", "description", "height", "paint", "table"]

#: Side of a cell in inches, at most: a small map need not fill the page.
_CELL = 0.34
_LABEL = 22
#: Up to so many columns the numbers fit into the cells.
_WRITTEN = 14


def caption(figure: Heatmap) -> str:
    """Say how to read a figure."""
    low, high = _ends(figure)
    below = " Orange is below zero." if low < 0 else ""
    return f"The stronger the colour of a cell, the further from zero: from {number(low)} to {number(high)}.{below}"


def description(figure: Heatmap) -> str:
    """Read a figure out, as far as that is bearable."""
    size = f"{len(figure.rows)} by {len(figure.columns)}"
    return f"Heat map, {size} cells. {figure.axis}. {caption(figure)} The numbers are in the table."


def table(figure: Heatmap) -> Table:
    """The numbers of a figure."""
    rows = tuple((row, *values) for row, values in zip(figure.rows, figure.values, strict=True))
    return Table(f"{figure.title}: {figure.axis}", ("", *figure.columns), rows)


def height(figure: Heatmap) -> float:
    """Height of the picture in inches."""
    return _CELL * max(len(figure.rows), 1) * min(1.0, 14 / max(len(figure.columns), 1)) + 1.2


def paint(canvas: Any, figure: Heatmap) -> None:
    """Draw the cells."""
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - only where a chart is drawn

    axes = canvas.add_subplot()
    furthest = max(map(abs, _ends(figure))) or 1.0
    for down, values in enumerate(figure.values):
        for across, value in enumerate(values):
            if value is None or not math.isfinite(value):
                continue
            colour = DATA if value >= 0 else MARK
            axes.add_patch(
                Rectangle((across - 0.5, down - 0.5), 1, 1, facecolor=colour, alpha=abs(value) / furthest, linewidth=0)
            )
            if len(figure.columns) <= _WRITTEN:
                axes.text(across, down, number(value), ha="center", va="center", size="x-small", color=INK)
    axes.set_xlim(-0.5, len(figure.columns) - 0.5)
    axes.set_ylim(len(figure.rows) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.set_xticks(
        range(len(figure.columns)), [shortened(name, _LABEL) for name in figure.columns], rotation=60, ha="right"
    )
    axes.set_yticks(range(len(figure.rows)), [shortened(name, _LABEL) for name in figure.rows])
    axes.set_xlabel(printable(figure.axis))


def _ends(figure: Heatmap) -> tuple[float, float]:
    found = [value for row in figure.values for value in row if value is not None and math.isfinite(value)]
    return min(found, default=0.0), max(found, default=0.0)
