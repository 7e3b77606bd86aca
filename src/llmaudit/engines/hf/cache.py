"""Rows of a key-value cache: leave, join, and share a prefill."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

__all__ = ["KVRows", "cache_bytes", "new_cache"]

#: Columns kept free behind the tokens, so that most steps write in place instead of copying the whole cache.
_SPARE = 32


class _RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # transformers types no __init_subclass__
    """Keys and values of one layer, with room for the next tokens.

    The stock layer concatenates at every step, which copies everything: a quarter of the decoding time at 64 rows. One
    class serves sliding-window layers too: the mask hides what lies outside the window.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers types none of this
        self.keys: Any = None
        self.values: Any = None
        self._rooms: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the states of new tokens; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.replace(key_states, value_states)
            return key_states, value_states
        length, more = self.keys.shape[-2], key_states.shape[-2]
        if self._rooms is None or self._rooms[0].shape[-2] < length + more:
            self._rooms = (_with_room(self.keys, more), _with_room(self.values, more))
        keys, values = self._rooms
        keys[:, :, length : length + more] = key_states
        values[:, :, length : length + more] = value_states
        self.keys, self.values = keys[:, :, : length + more], values[:, :, : length + more]
        return self.keys, self.values

    def replace(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Hold these states instead."""
        self.keys, self.values = keys, values
        self._rooms = None


def new_cache() -> Cache:
    """Return an empty cache; its layers come into being with the first forward pass."""
    return Cache(layer_class_to_replicate=_RoomyLayer)


def cache_bytes(cache: Any) -> int | None:
    """Bytes of the storages behind keys and values, shared ones once; None for a cache that holds none."""
    states = [getattr(layer, name, None) for layer in getattr(cache, "layers", []) for name in ("keys", "values")]
    storages = [state.untyped_storage() for state in states if isinstance(state, torch.Tensor)]
    sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
    return sum(sizes.values()) if sizes else None


class KVRows:
    """The keys and values of a batch of sequences, aligned at their ends.

    Sequences of different lengths are padded on the left; `mask` (rows, length) is 1 where there is a token.
    """

    def __init__(self, cache: Cache, mask: torch.Tensor) -> None:
        self.cache = cache
        self.mask = mask

    @property
    def rows(self) -> int:
        """Number of sequences."""
        return self.mask.shape[0]

    def select(self, rows: Sequence[int]) -> KVRows:
        """Return a copy of these rows, in this order; a row may be taken several times."""
        chosen = KVRows(copy.copy(self.cache), self.mask)
        chosen.cache.layers = [copy.copy(layer) for layer in _layers(self.cache)]
        chosen.take(rows)
        return chosen

    def take(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order. Columns that nobody uses any more are dropped."""
        index = torch.tensor(rows, dtype=torch.int64, device=self.mask.device)
        mask = self.mask.index_select(0, index)
        first = int((mask.cumsum(dim=1) == 0).sum(dim=1).min())
        self.mask = mask[:, first:].contiguous()
        for layer in _layers(self.cache):
            layer.replace(
                layer.keys[:, :, first:].index_select(0, index), layer.values[:, :, first:].index_select(0, index)
            )

    def join(self, other: KVRows) -> None:
        """Append the rows of another batch, padding the shorter of the two on the left."""
        length = max(self.mask.shape[1], other.mask.shape[1])
        self.mask = torch.cat([_pad(self.mask, 1, length), _pad(other.mask, 1, length)])
        for mine, theirs in zip(_layers(self.cache), _layers(other.cache), strict=True):
            keys = torch.cat([_pad(mine.keys, 2, length), _pad(theirs.keys, 2, length)])
            values = torch.cat([_pad(mine.values, 2, length), _pad(theirs.values, 2, length)])
            mine.replace(keys, values)

    def grow(self) -> None:
        """Make room in the mask for one more token per row; the model appends the keys and values itself."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(self.rows, 1)], dim=1)


def _layers(cache: Cache) -> list[Any]:
    return list(cache.layers)


def _with_room(states: torch.Tensor, more: int) -> torch.Tensor:
    rows, heads, length, size = states.shape
    room = states.new_empty(rows, heads, length + more + _SPARE, size)
    room[:, :, :length] = states
    return room


def _pad(tensor: torch.Tensor, dim: int, length: int) -> torch.Tensor:
    missing = length - tensor.shape[dim]
    if missing == 0:
        return tensor
    shape = list(tensor.shape)
    shape[dim] = missing
    return torch.cat([tensor.new_zeros(shape), tensor], dim=dim)
