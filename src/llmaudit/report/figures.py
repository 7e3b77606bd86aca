"""The charts of a report, as SVG for the page and as PDF for papers."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmaudit.audit import Bars, Figure, Intervals
from llmaudit.report.fonts import lean_font
from llmaudit.report.format import interval, number, printable
from llmaudit.report.svg import SvgText, describe, embed

__all__ = ["Drawing", "Panel", "caption", "draw"]

_STYLE = Path(__file__).parent / "templates" / "figures.mplstyle"

_INK, _DATA, _MARK = "#010203", "#0072b2", "#c4500a"

#: What the page's style sheet decides.
_COLOURS = {_INK: "currentColor", _DATA: f"var(--figure-data, {_DATA})", _MARK: f"var(--figure-mark, {_MARK})"}

#: Rows that fit on a printed page; a longer figure goes on in a further panel on the same scale.
_ROWS = 40

#: Width in inches: the text of a page of A4.
_WIDTH = 7.0

#: Longest row label, in characters; the data table holds it in full.
_LABEL = 34

#: Rows that the text alternative reads out.
_SPOKEN = 12


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture."""

    name: str
    """Stem of its files."""
    inline: SvgText
    """For the page: its colours, fonts and size are the page's."""
    svg: SvgText
    pdf: bytes


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure and its pictures: one, or several where it is long."""

    figure: Figure
    panels: tuple[Panel, ...]


def draw(figure: Figure, name: str) -> Drawing:
    """Draw a figure. The same figure and name give the same bytes."""
    starts = range(0, max(len(figure.rows), 1), _ROWS)
    names = [name if start == 0 else f"{name}.{start // _ROWS + 1}" for start in starts]
    return Drawing(figure, tuple(_panel(figure, start, stem) for start, stem in zip(starts, names, strict=True)))


def caption(figure: Figure) -> str:
    """Say how to read a figure."""
    if isinstance(figure, Bars):
        return "" if figure.reference is None else f"Dashed: the reference, {number(figure.reference)}."
    lines = "Points are estimates, lines their intervals."
    if figure.limits:
        lines += f" Dashed: the limit, {' and '.join(map(number, sorted(figure.limits)))}."
    return lines


def _panel(figure: Figure, start: int, name: str) -> Panel:
    # Half a second that reading a run does not need.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415

    rows = _finite(figure.rows[start : start + _ROWS])
    title, description = printable(figure.title), printable(_description(figure, rows))
    prefix = f"{name}-"
    # The salt is all that ids and clip paths are made of: without it they differ from run to run.
    with mpl.rc_context(fname=_STYLE), mpl.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        # The page and the reader's viewer have fonts for scripts that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas = Canvas(figsize=(_WIDTH, 0.24 * max(len(rows), 1) + 0.8))
        axes = canvas.add_subplot()
        _draw_rows(axes, figure, rows)
        svg, pdf = io.StringIO(), io.BytesIO()
        canvas.savefig(svg, format="svg", metadata={"Date": None})
        # Laid out once: the second file needs no layout of its own.
        canvas.set_layout_engine("none")
        with mpl.rc_context({"font.sans-serif": [lean_font(), "DejaVu Sans"]}):
            canvas.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Title": title})
    text = svg.getvalue()
    return Panel(
        name=name,
        inline=embed(text, prefix, title, description, _COLOURS),
        svg=describe(text, title, description),
        pdf=pdf.getvalue(),
    )


def _draw_rows(axes: Any, figure: Figure, rows: Sequence[tuple[Any, ...]]) -> None:
    heights = range(len(rows))
    if isinstance(figure, Bars):
        axes.barh(heights, [row[1] or 0.0 for row in rows], height=0.6, color=_DATA)
        marks, word = [] if figure.reference is None else [figure.reference], "reference "
        zero = True
    else:
        _draw_intervals(axes, rows)
        marks, word = list(figure.limits), "limit "
        zero = figure.zero
    if zero:
        axes.axvline(0, color=_INK, linewidth=0.8)
    for mark in marks:
        axes.axvline(mark, color=_MARK, linewidth=1, linestyle=(0, (4, 2.5)))
        axes.annotate(
            word + number(mark), (mark, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            color=_MARK, ha="center", va="bottom", size="small",
        )  # fmt: skip
    _write_rows(axes, rows)
    axes.set_xlim(_range(figure, [*marks, *([0.0] if zero else [])]))
    axes.set_xlabel(printable(figure.axis))


def _draw_intervals(axes: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    for height, (_, value, low, high) in enumerate(rows):
        if low is not None and high is not None:
            axes.plot([low, high], [height, height], color=_DATA, solid_capstyle="butt")
        if value is not None:
            axes.plot([value], [height], "o", color=_DATA)


def _write_rows(axes: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write the label of every row at its left and its numbers at its right, the first row on top."""
    axes.set_yticks(range(len(rows)), [_shorten(row[0]) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    for height, row in enumerate(rows):
        text = interval(*row[1:]) if len(row) > 2 else number(row[1])
        axes.annotate(
            text,
            (1, height),
            (6, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center_baseline",
        )


def _range(figure: Figure, marks: list[float]) -> tuple[float, float]:
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


def _shorten(label: str) -> str:
    label = " ".join(printable(label).split())
    return label if len(label) <= _LABEL else label[: _LABEL - 1] + "…"


def _description(figure: Figure, rows: Sequence[tuple[Any, ...]]) -> str:
    kind = "Forest plot" if isinstance(figure, Intervals) else "Bar chart"
    spoken = "; ".join(f"{row[0]}: {interval(*row[1:]) if len(row) > 2 else number(row[1])}" for row in rows[:_SPOKEN])
    rest = f"; and {len(rows) - _SPOKEN} more in the table" if len(rows) > _SPOKEN else ""
    return f"{kind} of {len(rows)} rows. {figure.axis}. {spoken}{rest}. {caption(figure)}".strip()
