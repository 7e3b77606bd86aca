"""The answers of an audit of open generation: what was said, and where in the design it belongs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmaudit.gaps import Cells
from llmaudit.types import Completion, Generate, Sample

__all__ = ["Answers"]


@dataclass(frozen=True, slots=True)
class Answers:
    """Completions with their cell, one of each attribute per sample."""

    texts: tuple[str | None, ...]
    """None where a request has no answer."""
    cells: Cells
    positions: NDArray[np.int64]
    """Shape (samples,): index of the sample in its cell. One index drew the same random numbers in every group."""
    paraphrases: NDArray[np.int64]
    """Shape (samples,): which paraphrase of its template was asked, 0 where there is one."""
    names: tuple[str | None, ...]
    """Which name stood for the group; None where a noun did."""

    @classmethod
    def of(cls, samples: Sequence[Sample], groups: Sequence[str]) -> Answers:
        """Read the samples of Generate requests that carry the factor `group`; `groups` gives the order."""
        factors = [sample.request.factors for sample in samples]
        return cls(
            texts=tuple(s.response.text if isinstance(s.response, Completion) else None for s in samples),
            cells=Cells.of([s.request.cluster for s in samples], [str(own["group"]) for own in factors], groups),
            positions=np.array(
                [s.request.sample if isinstance(s.request, Generate) else 0 for s in samples], dtype=np.int64
            ),
            paraphrases=np.array([int(own.get("paraphrase", 0)) for own in factors], dtype=np.int64),
            names=tuple(str(own["name"]) if "name" in own else None for own in factors),
        )

    def grid(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Arrange one number per sample in shape (clusters, groups, positions); NaN where nothing was asked."""
        width = int(self.positions.max(initial=-1)) + 1
        table = np.full((len(self.cells.clusters), len(self.cells.groups), width), np.nan)
        table[self.cells.rows, self.cells.columns, self.positions] = values
        return table
