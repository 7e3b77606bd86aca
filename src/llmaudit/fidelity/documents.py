"""The texts that two models read: written in the suite, or read from a file of the user's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationInfo,
    computed_field,
    model_validator,
)

from llmaudit.audit import Name, Spec
from llmaudit.groups import Text

__all__ = ["DataParams", "Document", "Documents", "named_documents"]

_HEADING = re.compile(r"^ = [^=].* = $")


@dataclass(frozen=True, slots=True)
class Document:
    """A text, which is the unit of analysis."""

    name: str
    genre: str
    text: str


def _by_genre(value: Any) -> Any:
    return {"text": value} if isinstance(value, list) else value


def _each_once(genres: dict[str, list[str]]) -> dict[str, list[str]]:
    seen: dict[str, str] = {}
    for name, text in ((f"{genre} {number}", text) for genre in genres for number, text in _counted(genres[genre])):
        if text in seen:
            raise ValueError(f"{name} is the same text as {seen[text]}: a document counts once")
        seen[text] = name
    return genres


def _counted(texts: Sequence[str]) -> Iterator[tuple[int, str]]:
    return enumerate(texts, start=1)


#: Genre -> texts; a bare list is one genre. No text stands in it twice.
Documents = Annotated[
    dict[Name, list[Text]],
    BeforeValidator(_by_genre, json_schema_input_type=list[str] | dict[Name, list[str]]),
    AfterValidator(_each_once),
]


class DataParams(Spec):
    """A file of texts."""

    path: str = Field(min_length=1)
    """A text file in UTF-8, or a .jsonl file of objects with a `text` (and a `genre`); relative to the suite's."""
    split: Literal["file", "blank_line", "line", "heading"] = "blank_line"
    """Where a document of a text file ends: at its end, at blank lines, at every line, or before a heading such as
    ` = Title = ` of WikiText."""
    first: int | None = Field(default=None, ge=1)
    """How many documents to take; all where left out."""
    _documents: list[Document] = PrivateAttr()
    _sha256: str = PrivateAttr()

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> DataParams:
        base: Path = (info.context or {}).get("folder", Path())
        try:
            data = (base / self.path).read_bytes()
        except OSError as error:
            raise ValueError(f"path: {self.path} does not read: {error.strerror} (from {base.resolve()})") from None
        self._sha256 = hashlib.sha256(data).hexdigest()
        texts = list(_parsed(self.path, _decoded(self.path, data), self.split))[: self.first]
        if not texts:
            raise ValueError(f"path: {self.path} holds no text")
        places: dict[str, str] = {}
        for document in texts:
            if document.text in places:
                raise ValueError(f"{document.name} is the same text as {places[document.text]}: a document counts once")
            places[document.text] = document.name
        self._documents = texts
        return self

    @computed_field  # type: ignore[prop-decorator]  # pydantic reads the property
    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file."""
        return self._sha256

    def documents(self) -> list[Document]:
        """The documents, named by the file and the line on which they begin."""
        return self._documents


def named_documents(genres: dict[str, list[str]]) -> list[Document]:
    """Name the texts of a suite: `fiction 01`."""
    return [
        Document(f"{genre} {number:02}", genre, text)
        for genre, texts in genres.items()
        for number, text in _counted(texts)
    ]


def _decoded(path: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"path: {path}:{line}: not UTF-8") from None


def _parsed(path: str, text: str, split: str) -> Iterator[Document]:
    name = Path(path).name
    if path.endswith(".jsonl"):
        yield from _objects(path, text)
    elif split == "file":
        if text.strip():
            yield Document(f"{name}:1", "text", text)
    else:
        for line, part in _parts(text.splitlines(), split):
            if part.strip():
                yield Document(f"{name}:{line}", "text", part.strip())


def _parts(lines: Sequence[str], split: str) -> Iterator[tuple[int, str]]:
    """Yield (line on which it begins, text) of every part."""
    begin: int | None = None
    for number, line in enumerate(lines):
        ends = (
            split == "line"
            or (split == "blank_line" and not line.strip())
            or (split == "heading" and _HEADING.match(line) is not None)
        )
        if ends and begin is not None:
            yield begin + 1, "\n".join(lines[begin:number])
            begin = None
        if begin is None and line.strip():
            begin = number
    if begin is not None:
        yield begin + 1, "\n".join(lines[begin:])


def _objects(path: str, text: str) -> Iterator[Document]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ValueError(f"path: {path}:{number}: no JSON ({error})") from None
        if not isinstance(found, dict) or not isinstance(found.get("text"), str) or not found["text"].strip():
            raise ValueError(f"path: {path}:{number}: needs an object with a `text` that is not empty")
        yield Document(f"{Path(path).name}:{number}", str(found.get("genre", "text")), found["text"])
