"""Rows of a data file, each with its place: CSV, JSON, JSON lines, Parquet, lines of text.

No message quotes what a file says, slurs being data: it names the file and the line.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["DataFile", "Row", "csv_rows", "json_of", "lines_of", "name_of", "rows_of"]

#: A text longer than this is a sentence in the wrong column, and no name of a category.
_LONGEST_LABEL = 40


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file, read whole."""

    name: str
    """What messages call it: its own name, without its folder, unless the folder tells more."""
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

    def label(self, name: str) -> str:
        """Return a short text as a name of the suite language. Raises ValueError.

        It becomes part of the names of metrics, which a terminal shows: a sentence of the set has no business there.
        """
        text = self.text(name)
        if len(text) > _LONGEST_LABEL:
            raise ValueError(f"{self.place}: {name} is no short label: are columns swapped?")
        return name_of(text)

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
    return ((f"{file.name}:{number}", line) for number, line in _lines(file))


def json_of(text: str, filename: str, line: int = 1) -> Any:
    """Return what a text of JSON holds. Raises ValueError with the place; `line` is that of its beginning."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{filename}:{line + error.lineno - 1}"
        raise ValueError(f"{place}: this is not JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise ValueError(f"{filename}:{line}: too long a number, or too many levels, to be read as JSON") from None


def csv_rows(file: DataFile) -> Iterator[tuple[str, list[str]]]:
    """Return (place, cells) for every row of a CSV file that holds anything; its place is the line where it begins.

    Raises ValueError with the place of a mistake.
    """
    reader = csv.reader(io.StringIO(file.text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield f"{file.name}:{line}", cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{file.name}:{line}: this is not CSV: {error}") from None


def name_of(text: str) -> str:
    """Make a text a name of the suite language: letters, digits, `_`, `.`, `-`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text.strip()) or "_"


def _lines(file: DataFile) -> Iterator[tuple[int, str]]:
    # Not splitlines: a sentence may hold other signs that Unicode calls line ends.
    for number, line in enumerate(io.StringIO(file.text, newline=None), start=1):
        if line.strip():
            yield number, line.removesuffix("\n")


def _csv(file: DataFile, columns: Collection[str]) -> Iterator[Row]:
    rows = csv_rows(file)
    place, header = next(rows, (f"{file.name}:1", []))
    _demand(place, columns, header)
    if twice := next((name for name in columns if header.count(name) > 1), None):
        raise ValueError(f"{place}: the column {twice!r} stands here twice")
    for place, cells in rows:
        if len(cells) != len(header):
            raise ValueError(f"{place}: {len(cells)} cells under {len(header)} columns")
        yield Row(place, dict(zip(header, cells, strict=True)))


def _json_lines(file: DataFile, columns: Collection[str]) -> Iterator[Row]:
    for number, line in _lines(file):
        place, record = f"{file.name}:{number}", json_of(line, file.name, number)
        if not isinstance(record, dict):
            raise ValueError(f"{place}: expected an object in braces")
        _demand(place, columns, record)
        yield Row(place, record)


def _json(file: DataFile, columns: Collection[str]) -> Iterator[Row]:
    records = json_of(file.text, file.name)
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
    records = [{name: _named(value, labels.get(name, ())) for name, value in row.items()} for row in table.to_pylist()]
    return _numbered(file, columns, records)


def _named(value: Any, names: Sequence[str]) -> Any:
    """The name of a numbered label; the number -1, by which the hub says that there is none, stays one."""
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


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
