"""A part of a data set, for a quick run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

__all__ = ["chosen"]


class _Item(Protocol):
    @property
    def category(self) -> str: ...

    @property
    def cluster(self) -> str: ...


T = TypeVar("T", bound=_Item)


def chosen(items: Sequence[T], limit: int | None, seed: int) -> tuple[T, ...]:
    """Return at most `limit` items per category, in the order of the file: whole clusters drawn by the seed.

    Of the cluster that the limit cuts, the first items are kept. None keeps everything.
    """
    if limit is None:
        return tuple(items)
    kept: set[int] = set()
    for number, category in enumerate(dict.fromkeys(item.category for item in items)):
        places: dict[str, list[int]] = {}
        for place, item in enumerate(items):
            if item.category == category:
                places.setdefault(item.cluster, []).append(place)
        # A stream per category: a category more or less in the file changes nothing for the others before it.
        order = np.random.default_rng([seed, number]).permutation(len(places))
        inside = list(places.values())
        drawn = [place for each in order for place in inside[each]]
        kept |= set(drawn[:limit])
    return tuple(item for place, item in enumerate(items) if place in kept)
