"""Text files of a folder, each with the hash of its bytes.

No message quotes what a file says: it names the file and the line.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TextFile", "existing_folder", "nearest", "read_text"]

#: How many names a message lists.
_LISTED = 12


@dataclass(frozen=True, slots=True)
class TextFile:
    """One file, read whole."""

    name: str
    """Its own name, without its folder."""
    text: str
    """The content, without a byte order mark, its lines ended by line feeds alone."""
    sha256: str
    """Of the bytes, as hexadecimal digits."""

    def lines(self) -> list[str]:
        """Return the lines, without the end of the last one. Raises ValueError where one is blank."""
        lines = self.text.removesuffix("\n").split("\n")
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                raise ValueError(f"{self.name}:{number}: the line is blank, and so no translation of another")
        return lines


def read_text(path: Path) -> TextFile:
    """Read a file. Raises ValueError where it cannot be read, and with the line where it is not UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"{path.name}:{line}: this is not UTF-8 text: save the file as UTF-8") from None
    return TextFile(path.name, text.replace("\r\n", "\n"), hashlib.sha256(data).hexdigest())


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
