"""Sets of answers to one prompt at one level, cut so that their diversity can be compared."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from llmaudit.types import Completion, Generate, Sample, Tokens

__all__ = ["Answer", "AnswerSets", "cut", "usable"]

#: Fewest tokens that answers may be cut to: fewer hold too few n-grams to repeat.
MIN_LENGTH = 8
#: Fewest answers that can differ from one another.
MIN_ANSWERS = 2

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, cut."""

    index: int
    """Which of the samples it is."""
    text: str
    ids: tuple[int, ...]
    """Token ids of the text; empty where it could not be tokenized."""


@dataclass(frozen=True, slots=True)
class AnswerSets:
    """The answers to every prompt at every level, of equal number and length within a prompt.

    Diversity depends on how many texts there are and how long they are. So all levels of a prompt have the same number
    of answers, the first ones that are not empty, as many as the emptiest level has; and all are cut to the same number
    of tokens: `length`, or the smallest median over levels where that is less. A prompt with fewer than half of its
    answers at some level, or with answers of fewer than 8 tokens, is left out at every level. An answer that ended
    sooner stays as it is: to leave it out would be to select by content.
    """

    prompts: tuple[str, ...]
    sets: Mapping[tuple[str, str], tuple[Answer, ...]]
    """(prompt, level) -> answers; absent where a prompt is left out."""
    lengths: Mapping[str, int]
    """Prompt -> tokens that its answers were cut to."""

    @classmethod
    def of(
        cls,
        samples: Sequence[Sample],
        tokens: Mapping[str, Tokens],
        levels: Sequence[str],
        *,
        apart: Sequence[str] = (),
        length: int,
        number: int,
    ) -> AnswerSets:
        """Gather and cut the answers among the samples, whose factor `level` says their level.

        `tokens` says how each text is cut; a text that is not there is cut by words. `levels` are those that decide
        over number and length, those `apart` follow suit; `number` is how many answers each was asked for.
        """
        answers = _by_cell(samples)
        prompts = tuple(dict.fromkeys(prompt for prompt, _ in answers))
        sets: dict[tuple[str, str], tuple[Answer, ...]] = {}
        lengths: dict[str, int] = {}
        for prompt in prompts:
            cells = {level: answers.get((prompt, level), []) for level in (*levels, *apart)}
            ruling = [cells[level] for level in levels]
            count = min(map(len, ruling))
            if count < max(MIN_ANSWERS, math.ceil(number / 2)):
                continue
            shortest = min(median(_size(text, tokens) for _, text in cell) for cell in ruling)
            to = min(length, int(shortest))
            if to < min(MIN_LENGTH, length):
                continue
            lengths[prompt] = to
            for level, cell in cells.items():
                if len(cell) >= count:
                    kept = cell[:count]
                    sets[prompt, level] = tuple(Answer(i, *cut(text, tokens.get(text), to)) for i, text in kept)
        return cls(prompts, sets, lengths)

    def at(self, level: str) -> list[Answer]:
        """All answers of a level."""
        return [answer for (_, of), answers in self.sets.items() if of == level for answer in answers]


def usable(sample: Sample) -> str | None:
    """Return the text of an answer that has any, or None."""
    response = sample.response
    return response.text if isinstance(response, Completion) and response.text.strip() else None


def cut(text: str, tokens: Tokens | None, length: int) -> tuple[str, tuple[int, ...]]:
    """Return the first `length` tokens of a text, as text and as ids.

    By words between white space where it is not known which token starts where.
    """
    if tokens is not None and len(tokens.starts) == len(tokens.ids):
        kept = text[: tokens.starts[length]] if len(tokens.ids) > length else text
        return kept.rstrip(), tokens.ids[:length]
    ends = [match.end() for match in _WORD.finditer(text)]
    kept = text[: ends[length - 1]] if len(ends) > length else text
    return kept.rstrip(), tokens.ids[:length] if tokens else ()


def _size(text: str, tokens: Mapping[str, Tokens]) -> int:
    found = tokens.get(text)
    return len(found.ids) if found is not None and found.starts else len(text.split())


def _by_cell(samples: Sequence[Sample]) -> dict[tuple[str, str], list[tuple[int, str]]]:
    """(prompt, level) -> (index, text) of the answers that have text, in the order of the samples."""
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for index, sample in enumerate(samples):
        if not isinstance(sample.request, Generate):
            continue
        cell = found.setdefault((sample.request.cluster, str(sample.request.factors["level"])), [])
        if (text := usable(sample)) is not None:
            cell.append((index, text))
    return found
