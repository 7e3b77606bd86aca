"""Whether the two sides of a minimal pair belong together: they differ, and by a few words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from llmaudit.datasets.items import Pair

__all__ = ["alignment_problem", "check_alignment", "word_distance"]

#: So many words may differ whatever the length: a name, its pronoun, a verb.
FEW_WORDS = 3
#: Share of pairs of a file that may be odd before the file is taken for damaged.
MAX_MISALIGNED = 0.05
#: How many odd rows a note names.
_SHOWN = 5

_WORD = re.compile(r"\w+(?:['’]\w+)*")


def word_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the edit distance (Levenshtein 1966) of two lists of words: insertions, deletions, substitutions."""
    row = list(range(len(second) + 1))
    for number, word in enumerate(first, start=1):
        above, row = row, [number]
        for place, other in enumerate(second):
            row.append(min(above[place + 1] + 1, row[-1] + 1, above[place] + (word != other)))
    return row[-1]


def alignment_problem(first: str, second: str) -> str | None:
    """Say why two sentences are no minimal pair, without quoting them; None where they are one."""
    if first.split() == second.split():
        return "the two sides are the same"
    words = [_WORD.findall(text.casefold()) for text in (first, second)]
    distance, longer = word_distance(*words), max(map(len, words))
    if distance > max(FEW_WORDS, longer / 2):
        return f"the two sides differ in {distance} of {longer} words: a minimal pair differs in a few"
    return None


def check_alignment(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Return notes on odd and doubled pairs of a file. Raises ValueError where too many are odd for a whole file."""
    odd = [(pair.place, problem) for pair in pairs if (problem := alignment_problem(pair.more, pair.less))]
    if len(odd) > MAX_MISALIGNED * len(pairs):
        place, problem = odd[0]
        raise ValueError(
            f"{place}: {problem}; {len(odd)} of {len(pairs)} pairs of the file are like this: are columns swapped, or"
            " lines shifted?"
        )
    notes = [f"Misaligned: {place}: {problem}." for place, problem in odd[:_SHOWN]]
    counts = Counter((pair.more, pair.less) for pair in pairs)
    twice = [pair.place for pair in pairs if counts[pair.more, pair.less] > 1]
    if twice:
        notes.append(f"Pairs that stand in the file more than once, and count so: {', '.join(twice[:_SHOWN])}.")
    if len(odd) > _SHOWN:
        notes.append(f"{len(odd) - _SHOWN} further pairs are misaligned.")
    return tuple(notes)
