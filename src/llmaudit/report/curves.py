"""Figures of curves: panels one above the other on one horizontal axis."""

from __future__ import annotations

import math
from typing import Any

from llmaudit.exhibits import Curve, Curves, Panel, Table
from llmaudit.report.colours import INK, MARK, SERIES
from llmaudit.report.format import interval, number, printable, shortened

__all__ = ["caption", "description", "height", "paint", "table"]

_PANEL = 2.1
"""Height of a panel in inches."""
_NAME = 60
"""Longest name of a curve in the legend, in characters; the data table holds it in full."""
_LEGEND, _HANDLE = 110, 10
"""Width of the legend, and of what stands before a name and between two of them, in characters."""
_LINE = 0.17
"""Height of a line of the legend in inches; a panel spares two."""


def caption(figure: Curves) -> str:
    """Say how to read a figure."""
    curves = [curve for panel in figure.panels for curve in panel.curves]
    lines = "Points are estimates"
    if any(point[2] is not None for curve in curves for point in curve.points):
        lines += ", upright lines their intervals"
    limits = sorted({limit for panel in figure.panels for limit in panel.limits})
    return lines + (f". Dashed across: the limit, {' and '.join(map(number, limits))}." if limits else ".")


def description(figure: Curves) -> str:
    """Read a figure out."""
    parts = [
        f"{panel.axis}: "
        + "; ".join(f"{curve.name}: {', '.join(_spoken(curve, place) for place in range(len(curve.points)))}"
            for curve in panel.curves)
        for panel in figure.panels
    ]  # fmt: skip
    return f"Line chart over {figure.axis}. {'. '.join(parts)}. {caption(figure)}"


def table(figure: Curves) -> Table:
    """The numbers of a figure."""
    rows: list[tuple[str | float | None, ...]] = []
    for panel in figure.panels:
        for curve in panel.curves:
            for place, (at, value, low, high) in enumerate(curve.points):
                name = f"{curve.name}, {curve.labels[place]}" if curve.labels else curve.name
                rows.append((name, panel.axis, at, value, low, high))
    return Table(figure.title, ("Curve", "What", figure.axis, "Value", "Low", "High"), tuple(rows))


def height(figure: Curves) -> float:
    """Height of the picture in inches."""
    names = _names(figure)
    lines = -(-len(names) // _columns(names)) if len(names) > 1 else 0
    return _PANEL * max(len(figure.panels), 1) + 0.5 + _LINE * max(lines - 2, 0)


def paint(canvas: Any, figure: Curves) -> None:
    """Draw every panel."""
    every = canvas.subplots(max(len(figure.panels), 1), 1, sharex=True, squeeze=False)[:, 0]
    names = _names(figure)
    for axes, panel in zip(every, figure.panels, strict=False):
        _paint_panel(axes, panel, names)
    if figure.logarithmic:
        every[-1].set_xscale("log", base=2)
        every[-1].xaxis.set_major_formatter(lambda value, _: number(value))
    every[-1].set_xlabel(printable(figure.axis))
    if len(names) > 1:
        # One legend for all panels: a name has the same colour in each.
        shown = {label: line for axes in every for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        canvas.legend(
            shown.values(), [shortened(name, _NAME) for name in shown], loc="outside upper left",
            ncols=_columns(names), frameon=False, handlelength=2.6,
        )  # fmt: skip


def _names(figure: Curves) -> list[str]:
    return list(dict.fromkeys(curve.name for panel in figure.panels for curve in panel.curves))


def _columns(names: list[str]) -> int:
    """How many names stand side by side in the legend."""
    longest = max(len(shortened(name, _NAME)) for name in names)
    return max(1, min(3, _LEGEND // (_HANDLE + longest)))


def _paint_panel(axes: Any, panel: Panel, names: list[str]) -> None:
    axes.grid(visible=True, axis="both")
    if panel.zero:
        axes.axhline(0, color=INK, linewidth=0.8)
    for limit in panel.limits:
        axes.axhline(limit, color=MARK, linewidth=1, linestyle=(0, (4, 2.5)))
        axes.annotate(
            f"limit {number(limit)}", (1, limit), (2, 0), xycoords=("axes fraction", "data"),
            textcoords="offset points", color=MARK, va="center_baseline", size="small",
        )  # fmt: skip
    for curve in panel.curves:
        _paint_curve(axes, curve, SERIES[names.index(curve.name) % len(SERIES)])
    # Across, above the panel: upright, a name of some words is longer than the panel is high.
    axes.set_title(printable(panel.axis), loc="left", size=8.5)
    # Beside the axis: above it, where matplotlib writes a power of ten, stands the title.
    axes.yaxis.get_offset_text().set_horizontalalignment("right")


def _paint_curve(axes: Any, curve: Curve, look: tuple[str, str, str]) -> None:
    colour, marker, dash = look
    points = [(place, *point) for place, point in enumerate(curve.points) if _has_place(point)]
    axes.plot(
        [point[1] for point in points], [point[2] for point in points],
        color=colour, marker=marker, linestyle=dash, linewidth=1.3, markersize=4.5, label=printable(curve.name),
    )  # fmt: skip
    for place, at, value, low, high in points:
        if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
            axes.plot([at, at], [low, high], color=colour, linewidth=1.1, solid_capstyle="butt")
        if curve.labels:
            axes.annotate(printable(curve.labels[place]), (at, value), (5, 4), textcoords="offset points", size="small")


def _has_place(point: tuple[float, float | None, float | None, float | None]) -> bool:
    return point[1] is not None and math.isfinite(point[0]) and math.isfinite(point[1])


def _spoken(curve: Curve, place: int) -> str:
    at, value, low, high = curve.points[place]
    label = f" ({curve.labels[place]})" if curve.labels else ""
    return f"at {number(at)}{label} {interval(value, low, high)}"
