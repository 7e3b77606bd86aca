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

#: The line between the note on the source and the text.
_RULE = re.compile(r"^---+[ \t]*$", re.MULTILINE)
_BLANK = re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)+")


def read(folder: Path, languages: Sequence[str]) -> ParallelText:
    """Read `udhr_LANGUAGE.txt`, or `LANGUAGE.txt`: blank lines separate the articles, of which there are 30.

    What stands before the last 30 blocks is title and preamble, and left out. Every article is a document. Raises
    ValueError for a language without a file (with the nearest), and for fewer than 30 articles.
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
    body = text[rule.end() :] if rule else text
    blocks = [block for block in _BLANK.split(body) if block.strip()]
    if len(blocks) < ARTICLES:
        raise ValueError(
            f"{file.name} has {len(blocks)} parts between blank lines, the Declaration has {ARTICLES} articles"
        )
    return tuple("\n".join(line.strip() for line in block.strip().split("\n")) for block in blocks[-ARTICLES:])
