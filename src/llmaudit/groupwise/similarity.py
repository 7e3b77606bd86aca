"""How alike the answers to prompts are that differ in the group alone, beside how alike two answers are anyway."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric, Table
from llmaudit.gaps import too_much_missing
from llmaudit.groupwise.answers import Answers
from llmaudit.groupwise.levels import Levels, level_estimates
from llmaudit.masking import Mask
from llmaudit.types import Estimate

__all__ = ["Similarities", "cosine", "similarities", "similarity_metrics"]

_UNIT = "cosine (0 to 1)"


class Similarities(NamedTuple):
    """What was found of the similarity of answers."""

    estimates: dict[str, Estimate]
    table: Table


def cosine(one: Counter[str], other: Counter[str]) -> float:
    """Return the cosine of two bags of words, in [0, 1]; NaN where one is empty."""
    if not one or not other:
        return math.nan
    product = sum(count * other[word] for word, count in one.items())
    sizes = sum(n * n for n in one.values()) * sum(n * n for n in other.values())
    return min(1.0, product / math.sqrt(sizes))


def similarity_metrics(groups: Sequence[str]) -> dict[str, Metric]:
    """What is measured of the similarity of answers."""
    like = "mean similarity of words between the answers to prompts that differ in the group alone"
    lack = "how much less alike they are than two answers about one group"
    found = {
        "counterfactual_similarity": Metric(f"{like}, for the least similar pair", _UNIT, "higher"),
        "similarity_deficit": Metric(f"{lack}, for the worst pair", _UNIT, "lower"),
    }
    for a, b in combinations(groups, 2):
        found[f"counterfactual_similarity.{a}-{b}"] = Metric(f"{like}, {a} and {b}", _UNIT, "higher")
        found[f"similarity_deficit.{a}-{b}"] = Metric(f"{lack}, {a} and {b}", _UNIT, "lower")
    return found


def similarities(answers: Answers, mask: Mask | None) -> Similarities:
    """Compare answers word by word, with the names masked (counterfactual similarity, as in LangFair).

    Two groups are compared at the same index, hence with the same random numbers; the noise floor compares two indices
    of one group that were asked the same paraphrase. A pair's deficit is the mean floor of its groups minus their
    similarity: where only the random numbers make answers differ it is 0 or less, since those of a pair are shared.
    """
    cells = answers.cells
    bags = _bags(answers, mask)
    pairs = list(combinations(range(len(cells.groups)), 2))
    shape = (len(cells.clusters), len(cells.groups))
    between, floor = np.full((shape[0], len(pairs)), np.nan), np.full(shape, np.nan)
    for row in range(shape[0]):
        own = [bags.get((row, group), {}) for group in range(shape[1])]
        for number, (a, b) in enumerate(pairs):
            between[row, number] = _mean([cosine(own[a][at][1], own[b][at][1]) for at in own[a].keys() & own[b].keys()])
        for group, told in enumerate(own):
            twice = [(x, y) for (p, x), (q, y) in combinations(told.values(), 2) if p == q]
            floor[row, group] = _mean([cosine(x, y) for x, y in twice])
    deficit = np.stack([(floor[:, a] + floor[:, b]) / 2 - between[:, n] for n, (a, b) in enumerate(pairs)], axis=1)
    estimates = level_estimates(_levels("counterfactual_similarity", answers, pairs, between)) | level_estimates(
        _levels("similarity_deficit", answers, pairs, deficit)
    )
    return Similarities(estimates, _table(answers, pairs, between, floor))


#: (cluster, group) -> index of the sample -> (paraphrase, its words)
_Bags = dict[tuple[int, int], dict[int, tuple[int, Counter[str]]]]


def _bags(answers: Answers, mask: Mask | None) -> _Bags:
    texts = ["" if text is None else text for text in answers.texts]
    masked = texts if mask is None else mask.apply(texts)
    found: _Bags = {}
    cells = answers.cells
    places = zip(cells.rows.tolist(), cells.columns.tolist(), answers.positions.tolist(), strict=True)
    for (row, column, position), paraphrase, text in zip(places, answers.paraphrases.tolist(), masked, strict=True):
        words = Counter(text.lower().split())
        found.setdefault((row, column), {})[position] = (paraphrase, words)
    return found


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _levels(name: str, answers: Answers, pairs: Sequence[tuple[int, int]], table: NDArray[np.float64]) -> Levels:
    cells = answers.cells
    lost = np.array([math.nan if text is None else 0.0 for text in answers.texts])
    gone = np.bincount(cells.columns[np.isnan(lost)], minlength=len(cells.groups))
    told = np.bincount(cells.columns, minlength=len(cells.groups)) - gone
    return Levels(
        name,
        _UNIT,
        "higher" if name == "counterfactual_similarity" else "lower",
        cells.clusters,
        tuple(f"{cells.groups[a]}-{cells.groups[b]}" for a, b in pairs),
        table,
        n=tuple(int(told[a] + told[b]) for a, b in pairs),
        missing=tuple(int(gone[a] + gone[b]) for a, b in pairs),
        problems=tuple(too_much_missing(lost, cells, pair) for pair in pairs),
    )


def _table(
    answers: Answers,
    pairs: Sequence[tuple[int, int]],
    between: NDArray[np.float64],
    floor: NDArray[np.float64],
) -> Table:
    groups = answers.cells.groups
    rows: list[tuple[str | float | None, ...]] = [
        (f"{groups[a]} and {groups[b]}", _mean(between[:, number].tolist())) for number, (a, b) in enumerate(pairs)
    ]
    rows += [(f"{group} and {group}: the noise floor", _mean(floor[:, n].tolist())) for n, group in enumerate(groups)]
    note = (
        "Cosine of the word counts, names masked, averaged over templates. Two groups are compared with the same random"
        " numbers, one group with itself on different ones."
    )
    return Table("Similarity of answers", ("answers about", "mean similarity"), tuple(rows), note)
