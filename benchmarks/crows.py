"""CrowS-Pairs (Nangia et al. 2020, https://aclanthology.org/2020.emnlp-main.154), read from where the user has it."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks import table
from benchmarks.prompts import sentence_pairs

__all__ = ["DataError", "Pair", "find_file", "load_pairs", "read_pairs", "shares"]

Pair = tuple[str, str]

FILE = "crows_pairs_anonymized.csv"
_VARIABLE = "LLMAUDIT_BENCH_DATA"
_COLUMNS = ("sent_more", "sent_less")


class DataError(Exception):
    """The data set cannot be read; the message says what to do."""


def load_pairs(given: Path | None) -> list[Pair]:
    """Return CrowS-Pairs, or where it is not at hand our own pairs, which a line then says. Raises DataError."""
    file = find_file(given, Path(__file__).parents[1])
    if file is not None:
        return read_pairs(file)
    table.report("likelihood: CrowS-Pairs is not here, these are own sentences; name its folder with --data FOLDER")
    return sentence_pairs()


def find_file(given: Path | None, checkout: Path) -> Path | None:
    """Return the file: in the folder given, in $LLMAUDIT_BENCH_DATA, or in shared/data beside the checkout.

    None where nobody named a folder and the last is not there. Raises DataError where a folder named lacks the file.
    """
    named = given or (Path(variable) if (variable := os.environ.get(_VARIABLE)) else None)
    if named is not None:
        if not (named / FILE).is_file():
            raise DataError(f"{named}: there is no {FILE}; name its folder with --data FOLDER or {_VARIABLE}")
        return named / FILE
    beside = checkout.parent / "shared" / "data" / "crows_pairs" / FILE
    return beside if beside.is_file() else None


def read_pairs(file: Path) -> list[Pair]:
    """Return (more stereotyping sentence, less stereotyping sentence) in the order of the file. Raises DataError."""
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if absent := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
            raise DataError(f"{file}: there is no column {absent[0]}; is this the file of CrowS-Pairs?")
        return [(line["sent_more"], line["sent_less"]) for line in reader]


def shares(pairs: Sequence[Pair], repetitions: int) -> list[list[str]]:
    """Deal the pairs out to the repetitions, so that each pair is measured once; returns the sentences of each."""
    return [[sentence for pair in pairs[first::repetitions] for sentence in pair] for first in range(repetitions)]
