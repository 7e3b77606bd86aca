"""The charts of a report, as SVG for the page and as PDF for papers."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from llmaudit.exhibits import Curves, Figure, Heatmap, Scatter, Table
from llmaudit.report import curves, forest, heatmap, scatter
from llmaudit.report.colours import OF_PAGE
from llmaudit.report.fonts import lean_font
from llmaudit.report.format import printable
from llmaudit.report.svg import SvgText, describe, embed

__all__ = ["Drawing", "Picture", "caption", "draw", "numbers"]

_STYLE = Path(__file__).parent / "templates" / "figures.mplstyle"

#: Width in inches: the text of a page of A4.
_WIDTH = 7.0


@dataclass(frozen=True, slots=True)
class Picture:
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
    pictures: tuple[Picture, ...]


def draw(figure: Figure, name: str) -> Drawing:
    """Draw a figure. The same figure and name give the same bytes."""
    if isinstance(figure, Curves):
        text, size, paint = curves.description(figure), curves.height(figure), partial(curves.paint, figure=figure)
        return Drawing(figure, (_picture(name, (figure.title, text), size, paint),))
    if isinstance(figure, Heatmap):
        text, size, paint = heatmap.description(figure), heatmap.height(figure), partial(heatmap.paint, figure=figure)
        return Drawing(figure, (_picture(name, (figure.title, text), size, paint),))
    if isinstance(figure, Scatter):
        text, size, paint = scatter.description(figure), scatter.HEIGHT, partial(scatter.paint, figure=figure)
        return Drawing(figure, (_picture(name, (figure.title, text), size, paint),))
    pictures = []
    for start in range(0, max(len(figure.rows), 1), forest.ROWS):
        stem = name if start == 0 else f"{name}.{start // forest.ROWS + 1}"
        words = (figure.title, forest.description(figure, start))
        paint = partial(forest.paint, figure=figure, start=start)
        pictures.append(_picture(stem, words, forest.height(figure, start), paint))
    return Drawing(figure, tuple(pictures))


def caption(figure: Figure) -> str:
    """Say how to read a figure."""
    if isinstance(figure, Curves):
        return curves.caption(figure)
    if isinstance(figure, Scatter):
        return scatter.caption(figure)
    return heatmap.caption(figure) if isinstance(figure, Heatmap) else forest.caption(figure)


def numbers(figure: Figure) -> Table:
    """Return the numbers that a figure draws."""
    if isinstance(figure, Curves):
        return curves.table(figure)
    if isinstance(figure, Scatter):
        return scatter.table(figure)
    return heatmap.table(figure) if isinstance(figure, Heatmap) else forest.table(figure)


def _picture(name: str, words: tuple[str, str], height: float, paint: Callable[..., None]) -> Picture:
    # Half a second that reading a run does not need.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415

    title, description = map(printable, words)
    # The salt is all that ids and clip paths are made of: without it they differ from run to run.
    with mpl.rc_context(fname=_STYLE), mpl.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        # The page and the reader's viewer have fonts for scripts that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas: Any = Canvas(figsize=(_WIDTH, height))
        paint(canvas)
        svg, pdf = io.StringIO(), io.BytesIO()
        canvas.savefig(svg, format="svg", metadata={"Date": None})
        # Laid out once: the second file needs no layout of its own.
        canvas.set_layout_engine("none")
        with mpl.rc_context({"font.sans-serif": [lean_font(), "DejaVu Sans"]}):
            canvas.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Title": title})
    text = svg.getvalue()
    return Picture(
        name=name,
        inline=embed(text, f"{name}-", title, description, OF_PAGE),
        svg=describe(text, title, description),
        pdf=pdf.getvalue(),
    )
