"""Token sequences laid out for one forward pass: side by side with shared prefixes, or one per row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from llmaudit.engines.hf.encoding import Ids

__all__ = ["Batch", "packed_batches", "padded_batches"]

#: Least width of a packed row. Attention costs grow with it, waste at the row's end shrinks.
_WIDTH = 64
#: Least part of a sequence that is worth a place beside the one it shares it with: small groups fill rows better, and
#: groups of all sentences that begin with "The" would be cut between the two of a pair.
_MUCH = 0.2


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences in a rectangle of tokens."""

    inputs: Mapping[str, Any]
    """What the model is called with, on the CPU."""
    places: Mapping[int, tuple[int, Sequence[int]]]
    """Sequence -> its row, and the column of each of its tokens."""


def packed_batches(sequences: Mapping[int, Ids], tokens: int, dtype: torch.dtype) -> Iterator[Batch]:
    """Lay sequences side by side in rows, each row a prefix tree: what two sequences begin with is computed once.

    A token sees its ancestors in the tree alone and stands at the position that it has in its own sequence, so that
    its logits are those of the sequence on its own. Batches have at most `tokens` tokens (or one row), those with the
    widest rows first; a row of more than twice as many is one sequence alone. `dtype` is that of the mask: zero, or the
    least number where a token may not look.
    """
    rows: list[list[int]] = []
    width = 0
    for row, needed in _rows(sequences, tokens):
        if rows and width * (len(rows) + 1) > tokens:
            yield _packed(rows, sequences, width, dtype)
            rows = []
        width = max(needed, width) if rows else needed
        rows.append(row)
    if rows:
        yield _packed(rows, sequences, width, dtype)


def padded_batches(sequences: Mapping[int, Ids], tokens: int) -> Iterator[Batch]:
    """Give every sequence a row of its own, padded on the right: changes nothing for a model that looks back only."""
    group: list[int] = []
    for index in sorted(sequences, key=lambda index: (-len(sequences[index]), index)):
        if group and len(sequences[group[0]]) * (len(group) + 1) > tokens:
            yield _padded(group, sequences)
            group = []
        group.append(index)
    if group:
        yield _padded(group, sequences)


def _padded(group: Sequence[int], sequences: Mapping[int, Ids]) -> Batch:
    ids = np.zeros((len(group), max(len(sequences[index]) for index in group)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, index in enumerate(group):
        ids[row, : len(sequences[index])] = sequences[index]
        mask[row, : len(sequences[index])] = 1
    inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    return Batch(inputs, {index: (row, range(len(sequences[index]))) for row, index in enumerate(group)})


def _rows(sequences: Mapping[int, Ids], tokens: int) -> Iterator[tuple[list[int], int]]:
    """Fill rows with units, the largest that fits first; yields (sequences of the row, its width)."""
    by_size: dict[int, list[list[int]]] = {}
    for unit, size in _units(sequences, tokens):
        by_size.setdefault(size, []).append(unit)
    sizes = sorted(by_size, reverse=True)
    while sizes:
        width = max(sizes[0], min(_WIDTH, tokens))
        row = by_size[sizes[0]].pop()
        starts = {sequences[row[0]][0]}
        # Too wide a row takes nobody along, not even those that cost nothing: it may be more than the memory holds.
        room = width - sizes[0] if width <= tokens else -1
        for size in list(sizes):
            units = by_size[size]
            # A first token that the row has already, the start token as a rule, takes no more room.
            while units and size - ((start := sequences[units[-1][0]][0]) in starts) <= room:
                room -= size - (start in starts)
                starts.add(start)
                row += units.pop()
            if not units:
                sizes.remove(size)
        yield row, width


def _units(sequences: Mapping[int, Ids], tokens: int) -> Iterator[tuple[list[int], int]]:
    """Group sequences that share much of their beginning; yields (sequences, tokens of their prefix tree)."""
    unit: list[int] = []
    size = widest = 0
    before: Ids = ()
    for index in sorted(sequences, key=lambda index: (sequences[index], index)):
        ids = sequences[index]
        common = _common(before, ids)
        if unit and (common < max(2, len(ids) * _MUCH) or size + len(ids) - common > widest):
            yield unit, size
            unit, size, common = [], 0, 0
        if not unit:
            # Twice the first sequence: room for the choices that follow a long context.
            widest = min(max(_WIDTH, 2 * len(ids)), 2 * tokens)
        unit.append(index)
        size += len(ids) - common
        before = ids
    if unit:
        yield unit, size


def _common(first: Ids, second: Ids) -> int:
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))


def _packed(rows: Sequence[Sequence[int]], sequences: Mapping[int, Ids], width: int, dtype: torch.dtype) -> Batch:
    ids = np.zeros((len(rows), width), dtype=np.int64)
    positions = np.zeros_like(ids)
    # Padding sees itself: a softmax over nothing would be NaN.
    sees = np.broadcast_to(np.eye(width, dtype=bool), (len(rows), width, width)).copy()
    places: dict[int, tuple[int, Sequence[int]]] = {}
    for row, indices in enumerate(rows):
        tree: dict[tuple[int, int], int] = {}
        for index in indices:
            path: list[int] = []
            parent = -1
            for depth, token in enumerate(sequences[index]):
                column = tree.setdefault((parent, token), len(tree))
                if column == len(tree) - 1:
                    ids[row, column], positions[row, column] = token, depth
                    if parent >= 0:
                        sees[row, column] |= sees[row, parent]
                path.append(column)
                parent = column
            places[index] = row, path
    mask = torch.zeros(sees.shape, dtype=dtype).masked_fill_(torch.from_numpy(~sees), torch.finfo(dtype).min)
    inputs = {"input_ids": torch.from_numpy(ids), "position_ids": torch.from_numpy(positions)}
    return Batch({**inputs, "attention_mask": mask[:, None]}, places)
