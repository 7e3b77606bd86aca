"""Documents, from a suite and from files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from llmaudit.fidelity.documents import DataParams, Documents, named_documents

WIKITEXT = """ 
 = Robert Boulter = 
 
 Robert Boulter is an English film , television and theatre actor . 
 
 = = Career = = 
 
 In 2000 he had a guest role . 

 = Du Fu = 

 Du Fu was a Chinese poet . 
"""  # noqa: W291, W293 - as the file has it


def data(folder: Path, **params: Any) -> DataParams:
    return DataParams.model_validate(params, context={"folder": folder})


def refusal(folder: Path, **params: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        data(folder, **params)
    return str(caught.value)


def test_a_list_is_one_genre_and_texts_are_named() -> None:
    genres = TypeAdapter(Documents).validate_python(["One.", "Two."])
    found = named_documents(genres)
    assert [(each.name, each.genre, each.text) for each in found] == [
        ("text 01", "text", "One."),
        ("text 02", "text", "Two."),
    ]


def test_a_document_counts_once() -> None:
    with pytest.raises(ValidationError, match="fiction 1 is the same text as news 2: a document counts once"):
        TypeAdapter(Documents).validate_python({"news": ["One.", "Two."], "fiction": ["Two."]})


def test_an_empty_document_is_refused() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Documents).validate_python(["One.", "  "])


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("file", ["wiki.txt:1"]),
        ("heading", ["wiki.txt:2", "wiki.txt:10"]),
        ("line", ["wiki.txt:2", "wiki.txt:4", "wiki.txt:6", "wiki.txt:8", "wiki.txt:10", "wiki.txt:12"]),
    ],
)
def test_a_file_is_split_as_asked(tmp_path: Path, split: str, names: list[str]) -> None:
    (tmp_path / "wiki.txt").write_text(WIKITEXT, encoding="utf-8")
    found = data(tmp_path, path="wiki.txt", split=split)
    assert [each.name for each in found.documents()] == names
    assert found.sha256 == hashlib.sha256(WIKITEXT.encode()).hexdigest()
    assert found.model_dump()["sha256"] == found.sha256
    if split == "file":
        assert found.documents()[0].text == WIKITEXT
    else:
        assert found.documents()[0].text.startswith("= Robert Boulter =")


def test_blank_lines_part_documents_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One\ntwo.\n\n\nThree.\n", encoding="utf-8")
    assert [each.text for each in data(tmp_path, path="a.txt").documents()] == ["One\ntwo.", "Three."]
    assert [each.text for each in data(tmp_path, path="a.txt", first=1).documents()] == ["One\ntwo."]


def test_lines_of_objects(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "One.", "genre": "news"}\n\n{"text": "Two."}\n', encoding="utf-8")
    found = data(tmp_path, path="a.jsonl").documents()
    assert [(each.name, each.genre, each.text) for each in found] == [
        ("a.jsonl:1", "news", "One."),
        ("a.jsonl:3", "text", "Two."),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "One."}\n{"text"\n', "a.jsonl:2: no JSON"),
        ("a.jsonl", b'{"text": "One."}\n["Two."]\n', "a.jsonl:2: needs an object with a `text`"),
        ("a.jsonl", b'{"text": "One."}\n{"text": " "}\n', "a.jsonl:2: needs an object with a `text`"),
        ("a.txt", b"One.\n\nTwo\xff.\n", "a.txt:3: not UTF-8"),
        ("a.txt", b"One.\n\nTwo.\n\nOne.\n", "a.txt:5 is the same text as a.txt:1"),
        ("a.txt", b"\n \n", "a.txt holds no text"),
    ],
)
def test_a_bad_file_is_told_with_its_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert message in refusal(tmp_path, path=name)


def test_a_missing_file_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    said = refusal(tmp_path, path="b.txt")
    assert "path: b.txt does not read: No such file or directory" in said
    assert str(tmp_path) in said
