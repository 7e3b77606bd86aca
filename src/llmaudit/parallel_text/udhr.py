"""The Universal Declaration of Human Rights, as "UDHR in Unicode" had it: one plain text file per language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from llmaudit.datasets import DataFile
from llmaudit.parallel_text.files import existing_folder, nearest, read_file, sha256_of, text_of
from llmaudit.parallel_text.text import ParallelText

__all__ = ["ARTICLES", "read"]

#: Articles of the Declaration.
ARTICLES = 30
#: What may stand before them: the title with a note, and the preamble.
_FRONT = 2

#: The line between the note on the source and the text.
_RULE = re.compile(r"^---+[ \t]*$", re.MULTILINE)
_BLANK = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)*\n")


def read(folder: Path, languages: Sequence[str]) -> ParallelText:
    """Read `udhr_LANGUAGE.txt`, or `LANGUAGE.txt`: 30 articles, each a document; title and preamble are left out.

    Blank lines separate the articles, and the paragraphs of those that are lists, which are indented deeper. Raises
    ValueError for a language without a file (with the nearest), and for a file with too few parts or too many.
    """
    known = {path.stem.removeprefix("udhr_"): path for path in sorted(existing_folder(folder).glob("*.txt"))}
    files = {}
    for language in languages:
        if language not in known:
            raise ValueError(f"no text in {language!r} under {folder}{nearest(language, known)}")
        files[language] = read_file(known[language])
    passages = {language: _articles(file) for language, file in files.items()}
    return ParallelText(passages, sha256=sha256_of(files.values()))


def _articles(file: DataFile) -> tuple[str, ...]:
    text = text_of(file)
    rule = _RULE.search(text)
    parts = _parts(text[rule.end() :] if rule else text)
    if not ARTICLES <= len(parts) <= ARTICLES + _FRONT:
        # The last 30 of too many parts would be pieces of articles, and no translations of each other.
        raise ValueError(
            f"{file.name} has {len(parts)} parts between blank lines, the Declaration has {ARTICLES} articles and at"
            f" most {_FRONT} parts before them; a blank line inside an article needs the next line indented deeper"
        )
    return tuple("\n".join(filter(None, map(str.strip, part.split("\n")))) for part in parts[-ARTICLES:])


def _parts(body: str) -> list[str]:
    """Split at blank lines, but keep a block with the one before where it is indented deeper than parts are."""
    blocks = [block for block in _BLANK.split(f"\n\n{body}") if block.strip()]
    # The title stands further to the left than all else.
    least = min(map(_indentation, blocks[1:]), default=0)
    parts: list[str] = []
    for block in blocks:
        if parts and _indentation(block) > least:
            parts[-1] += f"\n{block}"
        else:
            parts.append(block)
    return parts


def _indentation(block: str) -> int:
    first = block.strip("\n").split("\n")[0].expandtabs()
    return len(first) - len(first.lstrip())
