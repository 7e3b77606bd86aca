"""Figures of named points: quality against cost, with those that no other beats."""

from __future__ import annotations

import math
from typing import Any

from llmaudit.exhibits import Scatter, Table
from llmaudit.report.colours import DATA, INK, MARK
from llmaudit.report.format import interval, number, printable, shortened

__all__ = ["HEIGHT", "caption", "description", "paint", "table"]

#: Height of the picture in inches.
HEIGHT = 3.4
#: Longest name of a point, in characters; the data table holds it in full.
_NAME = 34
#: Least distance between two names above one another, as a share of the height.
_LINE = 0.06
#: From this share of the width on, a name stands at the left of its point.
_RIGHT = 0.6

Point = tuple[str, float, float, float | None, float | None]


def caption(figure: Scatter) -> str:
    """Say how to read a figure."""
    lines = "Points are estimates"
    if any(point[3] is not None for point in figure.points):
        lines += ", upright lines their intervals"
    if figure.front:
        lines += ". Joined and filled: the Pareto front; no other point is as good in both and better in one"
    return f"{lines}."


def description(figure: Scatter) -> str:
    """Read a figure out."""
    spoken = "; ".join(f"{name}: at {number(at)}, {interval(*rest)}" for name, at, *rest in figure.points)
    front = f" On the front: {', '.join(figure.front)}." if figure.front else ""
    return f"Scatter plot of {figure.vertical} over {figure.axis}. {spoken}.{front} {caption(figure)}"


def table(figure: Scatter) -> Table:
    """The numbers of a figure."""
    rows = tuple((*point, "yes" if point[0] in figure.front else "no") for point in figure.points)
    return Table(figure.title, ("Name", figure.axis, figure.vertical, "Low", "High", "On the front"), rows)


def paint(canvas: Any, figure: Scatter) -> None:
    """Draw the points, and the front behind them."""
    from matplotlib.ticker import LogLocator, NullLocator  # noqa: PLC0415 - only where a chart is drawn

    axes = canvas.add_subplot()
    axes.grid(visible=True, axis="both")
    points = [point for name, at, value, low, high in figure.points if (point := _placed(name, at, value, low, high))]
    front = sorted((at, value) for name, at, value, _, _ in points if name in figure.front)
    axes.plot([at for at, _ in front], [up for _, up in front], color=MARK, linewidth=1, linestyle=(0, (4, 2.5)))
    for name, at, value, low, high in points:
        if low is not None and high is not None:
            axes.plot([at, at], [low, high], color=DATA, linewidth=1.1, solid_capstyle="butt")
        beaten = bool(figure.front) and name not in figure.front
        axes.plot([at], [value], "o", color=DATA, markerfacecolor="none" if beaten else DATA)
    axes.margins(x=0.08, y=0.12)
    if figure.logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: number(value))
    _write_names(axes, points)
    axes.set_xlabel(printable(figure.axis))
    # Across, above the axes: upright, a name of some words is longer than the figure is high.
    axes.set_title(printable(figure.vertical), loc="left", size=8.5)
    axes.yaxis.get_offset_text().set_horizontalalignment("right")
    axes.xaxis.get_offset_text().set_horizontalalignment("left")


def _placed(name: str, at: float | None, value: float | None, low: float | None, high: float | None) -> Point | None:
    """A point that has a place on the axes, with an interval only where it has one."""
    if at is None or value is None or not math.isfinite(at) or not math.isfinite(value):
        return None
    bounded = low is not None and high is not None and math.isfinite(low) and math.isfinite(high)
    return (name, at, value, low, high) if bounded else (name, at, value, None, None)


def _write_names(axes: Any, points: list[Point]) -> None:
    """Write every name beside its point, one that would stand on another a line higher."""
    axes.autoscale_view()
    place = axes.transData + axes.transAxes.inverted()
    taken: dict[bool, float] = {}
    for name, at, value, _, _ in sorted(points, key=lambda point: (point[2], point[0])):
        across, up = place.transform((at, value))
        beyond = across > _RIGHT
        height = max(up, taken.get(beyond, -1.0) + _LINE)
        taken[beyond] = height
        written = axes.annotate(
            shortened(name, _NAME), (across, height), (-7 if beyond else 7, 0), xycoords="axes fraction",
            textcoords="offset points", ha="right" if beyond else "left", va="center_baseline", size="small", color=INK,
        )  # fmt: skip
        # Inside the axes, and often many: the axes need no room for them.
        written.set_in_layout(False)
