"""Files of a folder with one language each, and what to say of one that is not there."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

from llmaudit.datasets import DataFile, from_path

__all__ = ["existing_folder", "lines_of", "nearest", "read_file", "sha256_of", "text_of"]

#: How many names a message lists.
_LISTED = 12


def read_file(path: Path) -> DataFile:
    """Read a file. Raises ValueError where it cannot be read."""
    (file,) = from_path(path, ())
    return file


def text_of(file: DataFile) -> str:
    """Return the content, its lines ended by line feeds alone. Raises ValueError, naming the line, unless UTF-8."""
    return file.text.replace("\r\n", "\n")


def lines_of(file: DataFile) -> list[str]:
    """Return the lines, a blank one being a mistake: lines belong together by number. Raises ValueError for one.

    A line ends at a line feed and nowhere else, as translations may hold other signs that Unicode calls line ends.
    """
    lines = text_of(file).removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise ValueError(f"{file.name}:{number}: the line is blank, and so no translation of another")
    return lines


def sha256_of(files: Iterable[DataFile]) -> dict[str, str]:
    """Name of a file -> SHA-256 of its bytes, as hexadecimal digits."""
    return {file.name: hashlib.sha256(file.data).hexdigest() for file in files}


def existing_folder(path: Path) -> Path:
    """Return the folder. Raises ValueError, with the nearest name beside it, where there is none."""
    if path.is_dir():
        return path
    if path.exists():
        raise ValueError(f"{path} is no folder")
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=1)
    raise ValueError(f"there is no folder {path}" + (f"; did you mean {close[0]!r}?" if close else ""))


def nearest(language: str, known: Collection[str]) -> str:
    """Say what may be meant instead of a language that is missing: the nearest, or else what there is."""
    close = difflib.get_close_matches(language, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    names = sorted(known)
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f" (there are {', '.join(names[:_LISTED])}{rest})" if names else " (there are none)"
