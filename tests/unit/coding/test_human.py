"""Codes that people gave."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmaudit.coding.human import HumanCodes, open_human_codes

CATEGORIES = ["obscene", "threatening"]


def read(folder: Path, text: str | bytes) -> HumanCodes:
    (folder / "h.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_human_codes("h.csv", folder, CATEGORIES)


def test_texts_are_found_whatever_their_white_space(tmp_path: Path) -> None:
    human = read(tmp_path, '\ufeffprompt,text,obscene,comment\np,"one\ntwo",1,sure\n\np,three,,\np,four, 0 ,\n')
    assert human.of([" one two", "three", "four", "five"], "obscene").tolist()[::2] == [1.0, 0.0]
    assert all(math.isnan(code) for code in human.of(["three", "five"], "obscene"))
    assert all(math.isnan(code) for code in human.of(["four"], "threatening"))
    assert human.knows("three")
    assert not human.knows("five")
    assert human.strangers(["four", "five"]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1: the first line must name the columns, 'text' among them"),
        ("rude words,1\n", "1: the first line must name the columns, 'text' among them"),
        ("text,obscen\n", "1: unknown category 'obscen'; did you mean 'obscene'? (known: obscene, threatening)"),
        ("text,obscene,obscene\n", "1: the column 'obscene' stands here twice"),
        ("text,comment\nx,\n", "1: no column is a category (known: obscene, threatening)"),
        ("text,obscene\n", "1: no text is coded here"),
        ('text,obscene\n"a\nb",1\nrude,2\n', "4: obscene: expected 0, 1 or nothing"),
        ("text,obscene\nrude,yes\n", "2: obscene: expected 0, 1 or nothing"),
        ("text,obscene\nrude, words,1\n", "2: 3 cells under 2 columns"),
        ("text,obscene\nrude,1\nx,0\nrude,0\n", "4: the text of line 2 stands here again with other codes"),
        ('text,obscene\n"rude,1\n', "2: this is not CSV: unexpected end of data"),
        (b"text,obscene\nr\xfcde,1\n", "2: this is not UTF-8 text: save the file as UTF-8"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_without_the_text(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=r"h\.csv") as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"{tmp_path}/h.csv:{message}"
    assert "rude" not in str(caught.value)


def test_the_same_codes_twice_are_no_mistake(tmp_path: Path) -> None:
    assert read(tmp_path, "text,obscene\nx,1\nx,1\ny,\ny,\n").of(["x"], "obscene").tolist() == [1.0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file or folder .*no\.csv$"):
        open_human_codes("no.csv", tmp_path, CATEGORIES)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\x00")).map(lambda text: " ".join(text.split())),
        st.sampled_from(["0", "1", ""]),
        min_size=1,
    )
)
def test_every_text_comes_back_with_its_code(tmp_path: Path, codes: dict[str, str]) -> None:
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow(["text", "obscene", "comment"])
    writer.writerows([text, code, "c"] for text, code in codes.items())
    found = read(tmp_path, sheet.getvalue()).of(list(codes), "obscene")
    assert ["" if math.isnan(code) else f"{code:.0f}" for code in found] == list(codes.values())
