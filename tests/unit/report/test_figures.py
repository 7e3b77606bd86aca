from __future__ import annotations

import math
import re
import warnings
from xml.etree import ElementTree as ET

import pytest

from llmaudit.audit import Bars, Figure, Intervals
from llmaudit.report.figures import draw

FOREST = Intervals("Gaps", "gap", (("a", 0.1, 0.0, 0.2), ("b $x_{", -0.3, None, None)), zero=True, limits=(0.15,))
BARS = Bars("Premium", "ratio", (("<eng> & \"co\" id='x'", 1.0), ("日本 שלום\x00", 2.5)), reference=1.0)


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - the code under test made it


@pytest.mark.parametrize("figure", [FOREST, BARS])
def test_the_same_figure_gives_the_same_bytes(figure: Figure) -> None:
    assert draw(figure, "n") == draw(figure, "n")


@pytest.mark.parametrize("figure", [FOREST, BARS])
def test_an_inline_chart_belongs_to_its_page(figure: Figure) -> None:
    (panel,) = draw(figure, "audit.1").panels
    root = parse(panel.inline)
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("audit.1-") for name in ids)
    pointers = re.findall(r'(?:href="|url\()#([^")]*)', panel.inline)
    assert set(pointers) <= set(ids)
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "audit.1-title audit.1-desc"
    assert "width" not in root.attrib
    assert root.find("style") is None
    assert "http" not in panel.inline
    assert "font-family" not in panel.inline
    assert "currentColor" in panel.inline
    assert "var(--figure-data" in panel.inline
    assert "#010203" not in panel.inline


def test_the_text_alternative_reads_the_numbers_out() -> None:
    (panel,) = draw(FOREST, "n").panels
    root = parse(panel.inline)
    assert root.findtext("title") == "Gaps"
    assert root.findtext("desc") == (
        "Forest plot of 2 rows. gap. a: 0.1 [0.0, 0.2]; b $x_{: −0.3. Points are estimates, lines their intervals. "
        "Dashed: the limit, 0.15."
    )


def test_a_file_stands_alone() -> None:
    (panel,) = draw(BARS, "n").panels
    assert panel.svg.startswith("<svg ")
    assert parse(panel.svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in panel.svg
    assert panel.pdf.startswith(b"%PDF")


def test_labels_are_text_and_never_markup_or_mathematics() -> None:
    (panel,) = draw(BARS, "n").panels
    texts = [text.text for text in parse(panel.inline).iter("text")]
    assert "<eng> & \"co\" id='x'" in texts
    assert "日本 שלום␀" in texts


def test_missing_and_infinite_values_leave_their_row_empty() -> None:
    rows = (("a", math.nan, math.nan, math.nan), ("b", math.inf, 0.0, math.inf), ("c", 0.1, 0.0, 0.2))
    (panel,) = draw(Intervals("t", "x", rows), "n").panels
    assert ">–<" in panel.inline
    assert "nan" not in panel.inline
    assert draw(Bars("t", "x", (("a", math.nan), ("b", -1.0))), "n").panels
    assert draw(Bars("t", "x", ()), "n").panels


def test_a_long_figure_goes_on_in_panels_of_one_scale() -> None:
    figure = Bars("t", "x", tuple((f"language {i}", float(i)) for i in range(90)))
    panels = draw(figure, "n").panels
    assert [panel.name for panel in panels] == ["n", "n.2", "n.3"]
    ticks = [re.findall(r">(\d+)</text>", panel.inline)[:3] for panel in panels]
    assert ticks[0] == ticks[1] == ticks[2]


def test_drawing_warns_of_nothing_and_leaves_the_style_alone() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(BARS, "n")
    assert dict(mpl.rcParams) == before
