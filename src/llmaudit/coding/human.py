"""Codes that people gave: a CSV file that the user brings.

No message quotes a text: the file and the line are named instead.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmaudit.datasets import DataFile, csv_rows, placed, read_file
from llmaudit.suite.hints import unknown

__all__ = ["HumanCodes", "open_human_codes"]

#: Columns that help the people who code and are not read.
_UNREAD = ("prompt", "comment")
_CODES = {"0": 0.0, "1": 1.0, "": math.nan}


@dataclass(frozen=True, slots=True)
class HumanCodes:
    """What people found in texts, and the file that it was read from."""

    written: str
    """The path as the suite has it."""
    sha256: str
    """Of the file's bytes, as hexadecimal digits."""
    codes: Mapping[str, Mapping[str, float]]
    """Text (white space made plain) -> category -> 1, 0, or NaN where that was not coded."""

    def of(self, texts: Sequence[str], category: str) -> NDArray[np.float64]:
        """Return the codes of texts, shape (texts,); NaN for a text or a category that was not coded."""
        return np.array([self.codes.get(_plain(text), {}).get(category, math.nan) for text in texts])

    def knows(self, text: str) -> bool:
        """Whether a text was coded."""
        return _plain(text) in self.codes

    def strangers(self, texts: Collection[str]) -> int:
        """How many coded texts are none of these."""
        return len(self.codes.keys() - {_plain(text) for text in texts})


def open_human_codes(written: str, folder: Path, categories: Collection[str]) -> HumanCodes:
    """Read a CSV file (UTF-8, commas) with the column `text` and one column per category that was coded.

    A cell is 0, 1 or empty for not coded; the columns `prompt` and `comment` are not read. A relative path starts at
    `folder`. Raises ValueError that begins with FILE:LINE where a column is unknown, a cell is no code, or a text
    stands twice with different codes.
    """
    path = placed(written, folder)
    file = DataFile(str(path), read_file(path).data)
    return HumanCodes(written, hashlib.sha256(file.data).hexdigest(), _codes(file, categories))


def _codes(file: DataFile, categories: Collection[str]) -> dict[str, dict[str, float]]:
    rows = csv_rows(file)
    place, header = next(rows, (f"{file.name}:1", []))
    columns = [name.strip() for name in header]
    _check_header(columns, place, categories)
    found: dict[str, dict[str, float]] = {}
    places: dict[str, str] = {}
    for place, row in rows:
        if len(row) != len(columns):
            raise ValueError(f"{place}: {len(row)} cells under {len(columns)} columns")
        cells = dict(zip(columns, row, strict=True))
        key = _plain(cells["text"])
        codes = {name: _code(cells[name], f"{place}: {name}") for name in columns if name in categories}
        if key in found and not np.array_equal([*found[key].values()], [*codes.values()], equal_nan=True):
            line = places[key].rpartition(":")[2]
            raise ValueError(f"{place}: the text of line {line} stands here again with other codes")
        found[key] = codes
        places.setdefault(key, place)
    if not found:
        raise ValueError(f"{file.name}:1: no text is coded here")
    return found


def _check_header(columns: Sequence[str], place: str, categories: Collection[str]) -> None:
    # Without it the first line is probably a text, which must not be quoted.
    if "text" not in columns:
        raise ValueError(f"{place}: the first line must name the columns, 'text' among them")
    for name in columns:
        if name not in categories and name != "text" and name not in _UNREAD:
            raise ValueError(f"{place}: {unknown('category', name, categories)}")
        if columns.count(name) > 1:
            raise ValueError(f"{place}: the column {name!r} stands here twice")
    if not set(columns) & set(categories):
        raise ValueError(f"{place}: no column is a category (known: {', '.join(categories)})")


def _code(cell: str, place: str) -> float:
    if cell.strip() not in _CODES:
        raise ValueError(f"{place}: expected 0, 1 or nothing")
    return _CODES[cell.strip()]


def _plain(text: str) -> str:
    return " ".join(text.split())
