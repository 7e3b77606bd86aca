"""Rows of a key-value cache: leave, join, and share a prefill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

__all__ = ["KVRows"]


class KVRows:
    """The keys and values of a batch of sequences, aligned at their ends.

    Sequences of different lengths are padded on the left; `mask` (rows, length) is 1 where there is a token.
    """

    def __init__(self, cache: DynamicCache, mask: torch.Tensor) -> None:
        self.cache = cache
        self.mask = mask

    @property
    def rows(self) -> int:
        """Number of sequences."""
        return self.mask.shape[0]

    def take(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may be taken several times. Columns that nobody uses are dropped."""
        index = torch.tensor(rows, dtype=torch.int64, device=self.mask.device)
        mask = self.mask.index_select(0, index)
        first = int((mask.cumsum(dim=1) == 0).sum(dim=1).min())
        self.mask = mask[:, first:].contiguous()
        for layer in _layers(self.cache):
            layer.keys = layer.keys.index_select(0, index)[:, :, first:].contiguous()
            layer.values = layer.values.index_select(0, index)[:, :, first:].contiguous()

    def join(self, other: KVRows) -> None:
        """Append the rows of another batch, padding the shorter of the two on the left."""
        length = max(self.mask.shape[1], other.mask.shape[1])
        self.mask = torch.cat([_pad(self.mask, 1, length), _pad(other.mask, 1, length)])
        for mine, theirs in zip(_layers(self.cache), _layers(other.cache), strict=True):
            mine.keys = torch.cat([_pad(mine.keys, 2, length), _pad(theirs.keys, 2, length)])
            mine.values = torch.cat([_pad(mine.values, 2, length), _pad(theirs.values, 2, length)])

    def grow(self) -> None:
        """Make room in the mask for one more token per row; the model appends the keys and values itself."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(self.rows, 1)], dim=1)


def _layers(cache: DynamicCache) -> list[Any]:
    return list(cache.layers)


def _pad(tensor: torch.Tensor, dim: int, length: int) -> torch.Tensor:
    missing = length - tensor.shape[dim]
    if missing == 0:
        return tensor
    shape = list(tensor.shape)
    shape[dim] = missing
    return torch.cat([tensor.new_zeros(shape), tensor], dim=dim)
