"""FLORES-200 (NLLB Team 2022, arXiv 2207.04672): a file per language, a sentence a line, the same lines in each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llmaudit.datasets import DataFile
from llmaudit.parallel_text.files import existing_folder, lines_of, nearest, read_file, sha256_of
from llmaudit.parallel_text.text import ParallelText

__all__ = ["read"]

_URL = "URL"


def read(folder: Path, languages: Sequence[str], split: str) -> ParallelText:
    """Read `SPLIT/LANGUAGE.SPLIT`; the documents are the URLs of `metadata_SPLIT.tsv`, where that file is there.

    Raises ValueError for a language without a file (with the nearest), a blank line, and files of unequal length.
    """
    inside = existing_folder(existing_folder(folder) / split)
    known = {path.name.removesuffix(f".{split}") for path in inside.glob(f"*.{split}") if path.is_file()}
    files = {}
    for language in languages:
        if language not in known:
            raise ValueError(f"no sentences in {language!r} under {inside}{nearest(language, known)}")
        files[language] = read_file(inside / f"{language}.{split}")
    passages = {language: tuple(lines_of(file)) for language, file in files.items()}
    first, *others = files
    for language in others:
        if len(passages[language]) != len(passages[first]):
            raise ValueError(
                f"{files[language].name} has {len(passages[language])} lines, {files[first].name} has"
                f" {len(passages[first])}: they belong together line by line"
            )
    metadata = folder / f"metadata_{split}.tsv"
    if not metadata.is_file():
        return ParallelText(passages, sha256=sha256_of(files.values()))
    sources = read_file(metadata)
    return ParallelText(passages, _urls(sources, len(passages[first])), sha256_of([*files.values(), sources]))


def _urls(metadata: DataFile, sentences: int) -> tuple[str, ...]:
    """The source of every sentence. Raises ValueError without that column, or for another number of rows."""
    header, *rows = (line.split("\t") for line in lines_of(metadata))
    if _URL not in header:
        raise ValueError(f"{metadata.name}:1: there is no column {_URL!r}")
    if len(rows) != sentences:
        raise ValueError(f"{metadata.name} has {len(rows)} rows for {sentences} sentences")
    place = header.index(_URL)
    for number, row in enumerate(rows, start=2):
        if len(row) <= place:
            raise ValueError(f"{metadata.name}:{number}: there is no {_URL}")
    return tuple(row[place] for row in rows)
