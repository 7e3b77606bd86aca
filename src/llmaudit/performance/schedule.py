"""The order of launches, made so that a drift of the machine (it warms up, others come and go) cancels.

A block holds every arm twice: a random order and then its mirror, ABBA for two arms. The mean place of every arm in a
block is the same, so that whatever changes linearly over the block adds as much to one arm as to another. Sources:
Kalibera and Jones 2013 (random order); ABBA designs, Cox 1958, "Planning of experiments", chapter 14 [the chapter from
memory].
"""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["launch_order", "pairs"]


def launch_order(arms: Sequence[str], launches: int, seed: int) -> list[str]:
    """Return the arm of every launch, in order: blocks of a random order and its mirror, `launches` times every arm.

    An odd number leaves half a block at the end: every arm once, in a random order. Raises ValueError where there is
    no arm, where two share a name, or where `launches` is below 1.
    """
    if not arms or len(set(arms)) < len(arms) or launches < 1:
        raise ValueError("expected arms with names of their own and at least one launch of each")
    rng = random.Random(f"launches/{seed}")  # noqa: S311 - a design, not a secret
    order: list[str] = []
    for _ in range((launches + 1) // 2):
        block = rng.sample(list(arms), len(arms))
        order += block + block[::-1]
    return order[: launches * len(arms)]


def pairs(order: Sequence[str], first: str, second: str) -> list[tuple[int, int]]:
    """Return the (number of a launch of `first`, number of one of `second`) that are compared, in their order.

    The n-th launch of one goes with the n-th of the other: inside a block of two arms they are neighbours, so that what
    the machine does in between is shared.
    """
    places = [[number for number, arm in enumerate(order) if arm == name] for name in (first, second)]
    return list(zip(*places, strict=False))
