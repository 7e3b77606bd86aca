"""CrowS-Pairs (Nangia et al. 2020, https://aclanthology.org/2020.emnlp-main.154)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmaudit.datasets.alignment import check_alignment
from llmaudit.datasets.items import Dataset, Pair
from llmaudit.datasets.rows import DataFile, rows_of

__all__ = ["PATTERNS", "read"]

PATTERNS = ("*.csv", "*.parquet")
_COLUMNS = ("sent_more", "sent_less", "stereo_antistereo", "bias_type", "anon_writer")
_DIRECTIONS = ("stereo", "antistereo")


def read(files: Sequence[DataFile]) -> Dataset:
    """Read pairs; their writers are the clusters. Raises ValueError with the place of what is wrong."""
    pairs = tuple(pair for file in files for pair in _pairs(file))
    return Dataset(pairs=pairs, notes=check_alignment(pairs))


def _pairs(file: DataFile) -> Iterator[Pair]:
    for row in rows_of(file, _COLUMNS):
        yield Pair(
            category=row.label("bias_type"),
            cluster=row.text("anon_writer"),
            more=row.text("sent_more"),
            less=row.text("sent_less"),
            place=row.place,
            direction=row.one_of("stereo_antistereo", _DIRECTIONS),
        )
