"""Rows of a data file, each with its place: CSV, JSON, JSON lines, Parquet, lines of text.

No message quotes what a file says, slurs being data: it names the file and the line.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["DataFile", "Row", "lines_of", "name_of", "rows_of"]


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file, read whole."""

    name: str
    """Its own name, without its folder."""
    data: bytes

    @property
    def text(self) -> str:
        """The content as text. Raises ValueError, naming the line, unless it is UTF-8."""
        try:
            return self.data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = self.data[: error.start].count(b"\n") + 1
            raise ValueError(f"{self.name}:{line}: this is not UTF-8 text: save the file as UTF-8") from None


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file."""

    place: str
    """`FILE:LINE`, or `FILE: record N` where the format has no lines."""
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a text that is not blank. Raises ValueError."""
        value = self.value(name)
        if not isinstance(value, str):
            raise ValueError(f"{self.place}: {name} is no text")
        if not value.strip():
            raise ValueError(f"{self.place}: {name} is empty")
        return value.strip()

    def value(self, name: str) -> Any:
        """Return what stands under a name. Raises ValueError, with the nearest name, where nothing does."""
        if name not in self.values:
            raise ValueError(f"{self.place}: {_absence(name, self.values)}")
        return self.values[name]

    def one_of(self, name: str, known: Collection[str]) -> str:
        """Return one of some known words. Raises ValueError."""
        value = self.value(name)
        if value not in known:
            raise ValueError(f"{self.place}: {name} is none of {', '.join(known)}: are columns swapped?")
        return str(value)


def rows_of(file: DataFile, columns: Collection[str]) -> Iterator[Row]:
    """Read records; `columns` are those that a table must have. Raises ValueError with the place of a mistake."""
    suffix = file.name.rpartition(".")[2].lower()
    readers = {"csv": _csv, "jsonl": _json_lines, "json": _json, "parquet": _parquet}
    if suffix not in readers:
        raise ValueError(f"{file.name}: unknown format; expected one of .{', .'.join(readers)}")
    return readers[suffix](file, columns)


def lines_of(file: DataFile) -> Iterator[tuple[str, str]]:
    """Return (place, line) for every line that is not blank. Raises ValueError for bad encoding."""
    for number, line in enumerate(file.text.splitlines(), start=1):
        if line.strip():
            yield f"{file.name}:{number}", line


def name_of(text: str) -> str:
    """Make a text a name of the suite language: letters, digits, `_`, `.`, `-`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text.strip()) or "_"


def _csv(file: DataFile, columns: Collection[str]) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(file.text, newline=""), strict=True)
    start = 1
    try:
        _demand(f"{file.name}:1", columns, reader.fieldnames or ())
        start = 2
        for record in reader:
            # None holds what has no column, and stands for what has no value.
            if None in record or None in record.values():
                raise ValueError(
                    f"{file.name}:{start}: more or fewer fields than the {len(reader.fieldnames or ())} of line 1"
                )
            yield Row(f"{file.name}:{start}", record)
            start = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{file.name}:{start}: {error}") from None


def _json_lines(file: DataFile, columns: Collection[str]) -> Iterator[Row]:
    for place, line in lines_of(file):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{place}: this is not JSON: {error.msg}") from None
        if not isinstance(record, dict):
            raise ValueError(f"{place}: expected an object in braces")
        _demand(place, columns, record)
        yield Row(place, record)


def _json(file: DataFile, columns: Collection[str]) -> Iterator[Row]:
    try:
        records = json.loads(file.text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{file.name}:{error.lineno}: this is not JSON: {error.msg}") from None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError(f"{file.name}:1: expected a list of objects")
    return _numbered(file, columns, records)


def _parquet(file: DataFile, columns: Collection[str]) -> Iterator[Row]:
    try:
        from pyarrow import BufferReader, parquet  # noqa: PLC0415 - optional, and heavy
    except ImportError:
        raise ValueError(
            f"{file.name}: Parquet needs pyarrow: python -m pip install pyarrow (or give the file as CSV or JSON lines)"
        ) from None
    try:
        table = parquet.read_table(BufferReader(file.data))
    except (ValueError, OSError):
        raise ValueError(f"{file.name}: this is not a Parquet file") from None
    # The hub stores class labels as numbers, and their names beside the schema.
    info = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
    features = info.get("info", {}).get("features", {})
    labels = {name: feature["names"] for name, feature in features.items() if "names" in feature}
    records = [
        {
            name: labels[name][value] if name in labels and isinstance(value, int) else value
            for name, value in row.items()
        }
        for row in table.to_pylist()
    ]
    return _numbered(file, columns, records)


def _numbered(file: DataFile, columns: Collection[str], records: list[dict[str, Any]]) -> Iterator[Row]:
    for number, record in enumerate(records, start=1):
        place = f"{file.name}: record {number}"
        _demand(place, columns, record)
        yield Row(place, record)


def _demand(place: str, columns: Collection[str], found: Collection[str]) -> None:
    for name in columns:
        if name not in found:
            raise ValueError(f"{place}: {_absence(name, found)}")


def _absence(name: str, found: Collection[str]) -> str:
    # The other names are not listed: without a header they would be the first sentences of the set.
    close = difflib.get_close_matches(name, [word for word in found if word], n=1)
    hint = f"; is {close[0]!r} meant?" if close else ""
    return f"there is no {name!r}{hint}"
