"""Readers of public sets of minimal pairs and questions, from a path or the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llmaudit.datasets import bbq, crows_pairs, stereoset, winobias
from llmaudit.datasets.alignment import alignment_problem
from llmaudit.datasets.items import Association, Dataset, Pair, Question
from llmaudit.datasets.public import public_suites
from llmaudit.datasets.rows import DataFile, csv_rows
from llmaudit.datasets.source import from_hub, from_path, placed, read_file

__all__ = [
    "READERS",
    "Association",
    "DataFile",
    "Dataset",
    "Pair",
    "Question",
    "Reader",
    "ReaderName",
    "alignment_problem",
    "csv_rows",
    "from_hub",
    "from_path",
    "placed",
    "public_suites",
    "read_file",
]

ReaderName = Literal["crows_pairs", "stereoset", "winobias", "bbq"]


@dataclass(frozen=True, slots=True)
class Reader:
    """How the files of one public set are found in a folder, and read."""

    patterns: Sequence[str]
    read: Callable[[Sequence[DataFile]], Dataset]


READERS: Mapping[ReaderName, Reader] = {
    "crows_pairs": Reader(crows_pairs.PATTERNS, crows_pairs.read),
    "stereoset": Reader(stereoset.PATTERNS, stereoset.read),
    "winobias": Reader(winobias.PATTERNS, winobias.read),
    "bbq": Reader(bbq.PATTERNS, bbq.read),
}
