from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.datasets.rows import DataFile, Row, lines_of, name_of, rows_of


def rows(name: str, text: str | bytes, columns: Sequence[str] = ("a", "b")) -> list[Row]:
    return list(rows_of(DataFile(name, text.encode() if isinstance(text, str) else text), columns))


def test_the_place_of_a_record_is_the_line_where_it_starts() -> None:
    found = rows("f.csv", 'a,b\n1,"two\nlines"\n3,4\n')
    assert [(row.place, dict(row.values)) for row in found] == [
        ("f.csv:2", {"a": "1", "b": "two\nlines"}),
        ("f.csv:4", {"a": "3", "b": "4"}),
    ]


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    assert rows("f.csv", b"\xef\xbb\xbfa,b\n1,2\n")[0].text("a") == "1"


def test_a_line_ends_at_a_line_feed_and_nowhere_else() -> None:
    text = '{"a": "one\u2028two", "b": "\x85"}\r\n{"a": "three", "b": "\u2029"}\n'
    assert [(row.place, row.values["a"]) for row in rows("f.jsonl", text)] == [
        ("f.jsonl:1", "one\u2028two"),
        ("f.jsonl:2", "three"),
    ]


def test_a_sentence_is_no_label() -> None:
    assert Row("f:1", {"a": " sexual orientation "}).label("a") == "sexual_orientation"
    with pytest.raises(ValueError, match=r"^f:1: a is no short label: are columns swapped\?$"):
        Row("f:1", {"a": "a sentence with a slur that must not name a metric"}).label("a")


@pytest.mark.parametrize("name", ["f.jsonl", "f.json"])
def test_json_is_read_as_lines_or_as_one_list(name: str) -> None:
    records = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
    text = "\n".join(map(json.dumps, records)) if name == "f.jsonl" else json.dumps(records)
    assert [row.values for row in rows(name, text)] == records


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("f.csv", "a,bb\n1,2\n", "f.csv:1: there is no 'b'; is 'bb' meant?"),
        ("f.csv", "some sentence,another sentence\n", "f.csv:1: there is no 'a'"),
        ("f.csv", "", "f.csv:1: there is no 'a'"),
        ("f.csv", "a,b\n1,2\n1\n", "f.csv:3: 1 cells under 2 columns"),
        ("f.csv", "a,b\n1,2,3\n", "f.csv:2: 3 cells under 2 columns"),
        ("f.csv", 'a,b\n1,"x"y\n', "f.csv:2: this is not CSV: ',' expected after '\"'"),
        ("f.csv", "a,b\n\n\n1,2\n\n3\n", "f.csv:6: 1 cells under 2 columns"),
        ("f.csv", "a,b,a\n1,2,3\n", "f.csv:1: the column 'a' stands here twice"),
        ("f.jsonl", '{"a": ' + "1" * 5000, "f.jsonl:1: too long a number"),
        ("f.json", "\n" + "[" * 100_000, "f.json:1: too long a number, or too many levels"),
        ("f.jsonl", '{"a": 1, "b": 2}\n{', "f.jsonl:2: this is not JSON: Expecting property name"),
        ("f.jsonl", "[1]", "f.jsonl:1: expected an object in braces"),
        ("f.jsonl", '{"a": 1}', "f.jsonl:1: there is no 'b'"),
        ("f.json", "[\n{]", "f.json:2: this is not JSON"),
        ("f.json", "{}", "f.json:1: expected a list of objects"),
        ("f.json", '[{"a": 1}]', "f.json: record 1: there is no 'b'"),
        ("f.xls", "", "f.xls: unknown format; expected one of .csv, .jsonl, .json, .parquet"),
        ("f.csv", b"a,b\n1,2\n3,caf\xe9\n", "f.csv:3: this is not UTF-8 text: save the file as UTF-8"),
    ],
)
def test_a_mistake_is_told_with_its_place(name: str, text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=r"^\S") as caught:
        rows(name, text)
    assert str(caught.value).startswith(message)


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"^f\.parquet: Parquet needs pyarrow: python -m pip install pyarrow"):
        rows("f.parquet", b"")


def test_labels_of_the_hubs_parquet_are_read_as_words() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    features = {
        "info": {"features": {"b": {"names": ["zero", "one"], "_type": "ClassLabel"}, "a": {"dtype": "string"}}}
    }
    table = pyarrow.table({"a": ["x", "y", "z"], "b": [1, 0, -1]})
    table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink)
    found = rows("f.parquet", sink.getvalue().to_pybytes())
    assert [row.value("b") for row in found] == ["one", "zero", -1]
    with pytest.raises(ValueError, match=r"^f\.parquet: this is not a Parquet file"):
        rows("f.parquet", b"no")


@pytest.mark.parametrize(
    ("value", "message"),
    [(" ", "f:1: a is empty"), (3, "f:1: a is no text")],
)
def test_a_text_has_something_in_it(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Row("f:1", {"a": value}).text("a")


def test_a_word_that_is_none_of_the_known_ones_is_not_quoted() -> None:
    with pytest.raises(ValueError, match=r"^f:1: a is none of x, y: are columns swapped\?$"):
        Row("f:1", {"a": "a slur"}).one_of("a", ("x", "y"))


def test_blank_lines_do_not_move_the_places() -> None:
    assert list(lines_of(DataFile("f", b"one\n\n two\n"))) == [("f:1", "one"), ("f:3", " two")]


@given(st.text())
def test_every_text_becomes_a_name(text: str) -> None:
    name = name_of(text)
    assert name
    assert name_of(name) == name
