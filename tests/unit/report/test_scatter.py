"""A scatter shows every point that has a place, joins the front, and says it all in words."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from llmaudit.exhibits import Scatter
from llmaudit.report import figures, scatter
from llmaudit.report.figures import caption, draw, numbers

TRADE = Scatter(
    "Quality against size",
    "GiB (lower is better)",
    "score (higher is better)",
    (
        ("small", 0.5, 0.2, 0.1, 0.3),
        ("large <b>", 8.0, 0.9, None, None),
        ("beaten", 9.0, 0.5, 0.4, math.inf),
        ("unknown", None, 0.5, None, None),
        ("lost", 1.0, math.nan, None, None),
    ),
    ("small", "large <b>"),
)


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - drawn a moment ago, not by a stranger


@pytest.mark.parametrize(
    "figure", [TRADE, replace(TRADE, logarithmic=True), replace(TRADE, front=()), Scatter("t", "x", "y", ())]
)
def test_it_is_a_picture_of_its_page_and_of_its_own(figure: Scatter) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (picture,) = draw(figure, "n").pictures
    assert draw(figure, "n").pictures == (picture,)
    assert parse(picture.inline).attrib["role"] == "img"
    assert "nan" not in picture.inline.lower()
    assert picture.pdf.startswith(b"%PDF")


def test_points_without_a_place_are_left_out_and_stand_in_the_table() -> None:
    (picture,) = draw(TRADE, "n").pictures
    texts = {text.text for text in parse(picture.inline).iter("text")}
    assert {"small", "large <b>", "beaten"} <= texts
    assert not {"unknown", "lost"} & texts
    assert numbers(TRADE).rows[3] == ("unknown", None, 0.5, None, None, "no")
    assert numbers(TRADE).rows[0] == ("small", 0.5, 0.2, 0.1, 0.3, "yes")


def test_it_is_read_out() -> None:
    (picture,) = draw(TRADE, "n").pictures
    text = str(parse(picture.inline).findtext("desc"))
    assert text.startswith(
        "Scatter plot of score (higher is better) over GiB (lower is better). small: at 0.5, 0.2 [0.1, 0.3];"
    )
    assert "On the front: small, large <b>." in text
    assert "Pareto front" in caption(TRADE)
    assert "Pareto" not in caption(replace(TRADE, front=()))


def test_names_stay_on_the_page_and_do_not_lie_on_each_other() -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    crowd = tuple((f"{'n' * 40} {place}", 1.0 + 0.001 * place, 0.5, None, None) for place in range(6))
    figure = replace(TRADE, points=(*crowd, ("far", 20.0, 0.6, None, None)), front=())
    with mpl.rc_context(fname=Path(figures.__file__).parent / "templates" / "figures.mplstyle"):
        canvas = Canvas(figsize=(7.0, scatter.HEIGHT))
        scatter.paint(canvas, figure)
        canvas.draw_without_rendering()
        boxes = [text.get_window_extent() for text in canvas.axes[0].texts]
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= canvas.bbox.width
    heights = sorted(box.y0 for box in boxes[:6])
    assert all(upper - lower > 8 for lower, upper in pairwise(heights))
