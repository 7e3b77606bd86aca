"""WinoBias (Zhao et al. 2018, https://aclanthology.org/N18-2003): files of lines, pro and anti side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from llmaudit.datasets.alignment import check_alignment
from llmaudit.datasets.items import Dataset, Pair
from llmaudit.datasets.rows import DataFile, lines_of

__all__ = ["PATTERNS", "read"]

PATTERNS = ("pro_stereotyped_type[12].txt.*", "anti_stereotyped_type[12].txt.*")

_NAME = re.compile(r"(?:.*/)?(pro|anti)_stereotyped_(type[12])\.txt\.(\w+)")
_NUMBER = re.compile(r"\s*\d+\s+")
_BRACKETED = re.compile(r"\[([^\]]*)\]")
_PRONOUNS = frozenset({"he", "him", "his", "she", "her", "hers"})


def read(files: Sequence[DataFile]) -> Dataset:
    """Read pairs: `more` is the line of the pro-stereotypical file, `less` that of the other; the type is the category.

    The cluster is the occupation that the pronoun stands for. Raises ValueError with the place of what is wrong.
    """
    sides: dict[tuple[str, str], dict[str, DataFile]] = {}
    for file in files:
        match = _NAME.fullmatch(file.name)
        if match is None:
            raise ValueError(f"{file.name}: expected a name such as pro_stereotyped_type1.txt.dev")
        side, category, split = match.groups()
        sides.setdefault((category, split), {})[side] = file
    pairs = tuple(pair for (category, _), both in sides.items() for pair in _pairs(category, both))
    return Dataset(pairs=pairs, notes=check_alignment(pairs))


def _pairs(category: str, sides: dict[str, DataFile]) -> Iterator[Pair]:
    if len(sides) < 2:
        (side, file), *_ = sides.items()
        other = {"pro": "anti", "anti": "pro"}[side]
        raise ValueError(f"{file.name}: its other half is missing: {file.name.replace(side, other, 1)}")
    pro, anti = list(lines_of(sides["pro"])), list(lines_of(sides["anti"]))
    if len(pro) != len(anti):
        raise ValueError(
            f"{sides['pro'].name} has {len(pro)} lines, {sides['anti'].name} has {len(anti)}: they belong together"
            " line by line"
        )
    for (place, line), (_, other_line) in zip(pro, anti, strict=True):
        yield Pair(category, _occupation(place, line), _sentence(line), _sentence(other_line), place)


def _sentence(line: str) -> str:
    """The sentence without its number, its brackets and doubled spaces."""
    return " ".join(re.sub(r"[\[\]]", "", _NUMBER.sub("", line, count=1)).split())


def _occupation(place: str, line: str) -> str:
    marked = [" ".join(text.casefold().split()) for text in _BRACKETED.findall(line)]
    found = [text.removeprefix("the ") for text in marked if text not in _PRONOUNS]
    if not found:
        raise ValueError(f"{place}: no occupation stands in [brackets]")
    return found[0]
