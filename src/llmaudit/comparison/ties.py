"""Which of several things cannot be told apart: the largest sets, and in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

__all__ = ["tied_sets", "told_sets"]

_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}


def tied_sets(things: Sequence[int], apart: Collection[frozenset[int]]) -> tuple[tuple[int, ...], ...]:
    """Return the largest sets of two things or more of which no two are told apart, in the order of `things`.

    `apart` holds the pairs that are. To share no set is to be told apart, as to share no letter is in a compact letter
    display (Piepho 2004, Journal of Computational and Graphical Statistics 13). A thing may stand in several sets. They
    are the maximal cliques of the graph of pairs that are not told apart (Bron and Kerbosch 1973).
    """
    near = {one: {other for other in things if other != one and frozenset((one, other)) not in apart} for one in things}
    order = {thing: place for place, thing in enumerate(things)}
    found = (tuple(sorted(clique, key=order.__getitem__)) for clique in _cliques(set(), set(things), set(), near))
    return tuple(sorted((clique for clique in found if len(clique) > 1), key=lambda clique: [order[t] for t in clique]))


def told_sets(sets: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Say which cannot be told apart: `these three cannot be told apart: a, b, c`."""
    if not sets:
        return "all can be told apart"
    return "; ".join(_told([names[thing] for thing in each]) for each in sets)


def _told(names: Sequence[str]) -> str:
    return f"these {_NUMBERS.get(len(names), len(names))} cannot be told apart: {', '.join(names)}"


def _cliques(chosen: set[int], open_: set[int], done: set[int], near: dict[int, set[int]]) -> Iterator[set[int]]:
    if not open_ and not done:
        yield chosen
        return
    # Whatever is near the pivot is reached through it: without a pivot many ties would take exponential time.
    pivot = max(sorted(open_ | done), key=lambda thing: len(near[thing] & open_))
    for thing in sorted(open_ - near[pivot]):
        yield from _cliques(chosen | {thing}, open_ & near[thing], done & near[thing], near)
        open_ = open_ - {thing}
        done = done | {thing}
