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

__all__ = ["Similarities", "cosines", "similarities", "similarity_metrics"]

_UNIT = "cosine (0 to 1)"

Array = NDArray[np.float64]


class Similarities(NamedTuple):
    """What was found of the similarity of answers."""

    estimates: dict[str, Estimate]
    table: Table


def cosines(texts: Sequence[str]) -> Array:
    """Return the cosine of every two texts as bags of lower-case words, shape (texts, texts), in [0, 1].

    NaN where one of the two is empty.
    """
    bags = [Counter(text.lower().split()) for text in texts]
    places = {word: place for place, word in enumerate(dict.fromkeys(word for bag in bags for word in bag))}
    table = np.zeros((len(bags), len(places)))
    for row, bag in zip(table, bags, strict=True):
        row[[places[word] for word in bag]] = list(bag.values())
    sizes = np.linalg.norm(table, axis=1)
    sizes[sizes == 0] = np.nan
    return np.minimum(1.0, table @ table.T / np.outer(sizes, sizes))


def similarity_metrics(groups: Sequence[str]) -> dict[str, Metric]:
    """What is measured of the similarity of answers."""
    like = "mean similarity of words between the answers to prompts that differ in the group alone"
    lack = "how much less alike answers about two groups are than two answers about one, on different random numbers"
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

    The similarity of two groups is that at one index, hence with the same random numbers. Those make answers alike that
    a reader would never see side by side, and would hide what differs: the deficit takes different indices that were
    asked the same paraphrase, both between two groups and inside each. It is the mean of the two groups' own similarity
    minus that between them, which is half the squared maximum mean discrepancy of their bags of words (Gretton et al.
    2012, JMLR 13: 723-773): 0 on average where the groups are treated alike, above 0 where words differ.
    """
    cells = answers.cells
    pairs = list(combinations(range(len(cells.groups)), 2))
    between, apart = (np.full((len(cells.clusters), len(pairs)), np.nan) for _ in range(2))
    floor = np.full((len(cells.clusters), len(cells.groups)), np.nan)
    texts = ["" if text is None else text for text in answers.texts]
    masked = texts if mask is None else mask.apply(texts)
    for row in range(len(cells.clusters)):
        inside = np.flatnonzero(cells.rows == row)
        alike = cosines([masked[place] for place in inside])
        same = np.equal.outer(answers.positions[inside], answers.positions[inside])
        twice = np.equal.outer(answers.paraphrases[inside], answers.paraphrases[inside]) & ~same
        of = [cells.columns[inside] == group for group in range(len(cells.groups))]
        floor[row] = [_mean(alike[twice & np.outer(own, own)]) for own in of]
        between[row] = [_mean(alike[same & np.outer(of[a], of[b])]) for a, b in pairs]
        apart[row] = [_mean(alike[twice & np.outer(of[a], of[b])]) for a, b in pairs]
    deficit = np.stack([(floor[:, a] + floor[:, b]) / 2 - apart[:, n] for n, (a, b) in enumerate(pairs)], axis=1)
    estimates = level_estimates(_levels("counterfactual_similarity", answers, pairs, between)) | level_estimates(
        _levels("similarity_deficit", answers, pairs, deficit)
    )
    return Similarities(estimates, _table(answers, pairs, (between, apart, floor)))


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _levels(name: str, answers: Answers, pairs: Sequence[tuple[int, int]], table: Array) -> Levels:
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


def _table(answers: Answers, pairs: Sequence[tuple[int, int]], found: tuple[Array, Array, Array]) -> Table:
    groups, (between, apart, floor) = answers.cells.groups, found
    rows: list[tuple[str | float | None, ...]] = [
        (f"{groups[a]} and {groups[b]}", _mean(between[:, n]), _mean(apart[:, n])) for n, (a, b) in enumerate(pairs)
    ]
    rows += [(f"{group} and {group}: the noise floor", None, _mean(floor[:, n])) for n, group in enumerate(groups)]
    note = (
        "Cosine of the word counts, names masked, averaged over templates. The same random numbers make answers alike,"
        " so that two groups are held against the noise floor on different ones."
    )
    columns = ("answers about", "same random numbers", "different random numbers")
    return Table("Similarity of answers", columns, tuple(rows), note)
