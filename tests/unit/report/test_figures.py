from __future__ import annotations

import math
import re
import warnings
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from llmaudit.audit import Bars, Curve, Curves, Figure, Heatmap, Intervals, Panel, Table
from llmaudit.report import figures
from llmaudit.report.curves import height, paint
from llmaudit.report.figures import draw, numbers

FOREST = Intervals("Gaps", "gap", (("a", 0.1, 0.0, 0.2), ("b $x_{", -0.3, None, None)), zero=True, limits=(0.15,))
BARS = Bars("Premium", "ratio", (("<eng> & \"co\" id='x'", 1.0), ("日本 שלום\x00", 2.5)), reference=1.0)


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - the code under test made it


@pytest.mark.parametrize("figure", [FOREST, BARS])
def test_the_same_figure_gives_the_same_bytes(figure: Figure) -> None:
    assert draw(figure, "n") == draw(figure, "n")


@pytest.mark.parametrize("figure", [FOREST, BARS])
def test_an_inline_chart_belongs_to_its_page(figure: Figure) -> None:
    (picture,) = draw(figure, "audit.1").pictures
    root = parse(picture.inline)
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("audit.1-") for name in ids)
    pointers = re.findall(r'(?:href="|url\()#([^")]*)', picture.inline)
    assert set(pointers) <= set(ids)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "audit.1-title audit.1-desc"
    assert "width" not in root.attrib
    assert root.find("style") is None
    assert "http" not in picture.inline
    assert "font-family" not in picture.inline
    assert "currentColor" in picture.inline
    assert "var(--figure-data" in picture.inline
    assert "#010203" not in picture.inline


def test_the_text_alternative_reads_the_numbers_out() -> None:
    (picture,) = draw(FOREST, "n").pictures
    root = parse(picture.inline)
    assert root.findtext("title") == "Gaps"
    assert root.findtext("desc") == (
        "Forest plot of 2 rows. gap. a: 0.1 [0.0, 0.2]; b $x_{: −0.3. Points are estimates, lines their intervals. "
        "Dashed: the limit, 0.15."
    )


def test_a_file_stands_alone() -> None:
    (picture,) = draw(BARS, "n").pictures
    assert picture.svg.startswith("<svg ")
    assert parse(picture.svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in picture.svg
    assert picture.pdf.startswith(b"%PDF")


def test_labels_are_text_and_never_markup_or_mathematics() -> None:
    (picture,) = draw(BARS, "n").pictures
    texts = [text.text for text in parse(picture.inline).iter("text")]
    assert "<eng> & \"co\" id='x'" in texts
    assert "日本 שלום␀" in texts


def test_missing_and_infinite_values_leave_their_row_empty() -> None:
    rows = (("a", math.nan, math.nan, math.nan), ("b", math.inf, 0.0, math.inf), ("c", 0.1, 0.0, 0.2))
    (picture,) = draw(Intervals("t", "x", rows), "n").pictures
    assert ">–<" in picture.inline
    assert "nan" not in picture.inline
    assert draw(Bars("t", "x", (("a", math.nan), ("b", -1.0))), "n").pictures
    assert draw(Bars("t", "x", ()), "n").pictures


def test_a_long_figure_goes_on_in_panels_of_one_scale() -> None:
    figure = Bars("t", "x", tuple((f"language {i}", float(i)) for i in range(90)))
    pictures = draw(figure, "n").pictures
    assert [picture.name for picture in pictures] == ["n", "n.2", "n.3"]
    ticks = [re.findall(r">(\d+)</text>", picture.inline)[:3] for picture in pictures]
    assert ticks[0] == ticks[1] == ticks[2]


def test_drawing_warns_of_nothing_and_leaves_the_style_alone() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(BARS, "n")
    assert dict(mpl.rcParams) == before


DOSES = Curves(
    "Dose and response",
    "strength, nats",
    (
        Panel(
            "effect",
            (
                Curve("as it is", ((0, 0.0, None, None), (1, 0.2, 0.1, 0.3), (5, 0.6, 0.4, 0.8))),
                Curve("masked", ((0, 0.0, None, None), (1, math.nan, None, None), (5, 0.3, 0.1, math.inf))),
            ),
            zero=True,
            limits=(0.5,),
        ),
        Panel("cost", (Curve("as it is", ((0, 0.0, None, None), (5, 1.0, 0.5, 1.5)), ("none", "<all>")),)),
    ),
)
MAP = Heatmap("Likeness", "cosine", ("a", "b"), ("a", "b <c>"), ((1.0, -0.5), (None, math.nan)))


@pytest.mark.parametrize("figure", [DOSES, replace(DOSES, logarithmic=True), MAP, Curves("t", "x", ())])
def test_curves_and_maps_are_pictures_of_their_page_and_of_their_own(figure: Figure) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (picture,) = draw(figure, "n").pictures
    assert draw(figure, "n").pictures == (picture,)
    assert parse(picture.inline).attrib["role"] == "img"
    assert "currentColor" in picture.inline
    assert "nan" not in picture.inline.lower()
    assert picture.pdf.startswith(b"%PDF")


def test_curves_share_their_horizontal_axis_and_one_legend() -> None:
    (picture,) = draw(DOSES, "n").pictures
    texts = [text.text for text in parse(picture.inline).iter("text")]
    assert texts.count("strength, nats") == 1
    assert texts.count("as it is") == texts.count("masked") == 1
    assert {"effect", "cost", "<all>", "limit 0.5"} <= set(texts)


@pytest.mark.parametrize("length", [5, 20, 33, 45, 300])
def test_the_names_of_curves_stay_on_the_page(length: int) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    curves = tuple(
        Curve(f"{number} {'n' * length}", ((0, 0.0, None, None), (1, 1.0, None, None))) for number in range(7)
    )
    figure = Curves("t", "x", (Panel("y", curves),))
    with mpl.rc_context(fname=Path(figures.__file__).parent / "templates" / "figures.mplstyle"):
        canvas = Canvas(figsize=(7.0, height(figure)))
        paint(canvas, figure)
        canvas.draw_without_rendering()
    (legend,) = canvas.legends
    assert legend.get_window_extent().width <= canvas.bbox.width
    assert canvas.axes[0].get_window_extent().height > 100


def test_a_power_of_ten_stands_beside_the_axis() -> None:
    (bars,) = draw(Bars("t", "a label that is longer than the axis", (("a", 3e-17), ("b", 8e-17))), "n").pictures
    (line,) = draw(
        Curves("t", "x", (Panel("y", (Curve("a", ((0, 1e-17, None, None), (1, 8e-17, None, None))),)),)), "n"
    ).pictures
    for picture, ends in ((bars, False), (line, True)):
        (power,) = (text for text in parse(picture.inline).iter("text") if text.text == "1e−17")
        assert ("text-anchor: end" in power.attrib["style"]) is ends


def test_the_numbers_of_every_figure_make_a_table() -> None:
    assert numbers(FOREST).rows == FOREST.rows
    assert numbers(BARS).columns == ("Row", "Value")
    assert numbers(DOSES).rows[2] == ("as it is", "effect", 5, 0.6, 0.4, 0.8)
    assert numbers(DOSES).rows[-1][0] == "as it is, <all>"
    assert numbers(MAP) == Table("Likeness: cosine", ("", "a", "b <c>"), (("a", 1.0, -0.5), ("b", None, math.nan)))


def test_curves_and_maps_are_read_out() -> None:
    (picture,) = draw(DOSES, "n").pictures
    assert parse(picture.inline).findtext("desc") == (
        "Line chart over strength, nats. effect: as it is: at 0 0, at 1 0.2 [0.1, 0.3], at 5 0.6 [0.4, 0.8]; masked: at"
        " 0 0, at 1 –, at 5 0.3. cost: as it is: at 0 (none) 0, at 5 (<all>) 1.0 [0.5, 1.5]. Points are estimates,"
        " upright lines their intervals. Dashed across: the limit, 0.5."
    )
    (picture,) = draw(MAP, "n").pictures
    assert "from −0.5 to 1" in str(parse(picture.inline).findtext("desc"))
