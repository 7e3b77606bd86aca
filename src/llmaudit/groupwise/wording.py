"""How far a gap hangs on the wording: between templates, and between paraphrases of one template."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Table
from llmaudit.groupwise.answers import Answers
from llmaudit.stats import NestedComponents, nested_components

__all__ = ["UNPARAPHRASED", "wording_table"]

#: What a reader must know of an audit whose templates stand for themselves alone.
UNPARAPHRASED = (
    "No template has a paraphrase: how far a gap hangs on the wording is seen between templates only, and paraphrasing"
    " templates is known to change bias scores and rankings (Selvam et al. 2023; Seshadri et al. 2022)."
)


def wording_table(scores: Mapping[str, NDArray[np.float64]], answers: Answers) -> Table:
    """Return, per scorer, the components of variance of the difference between two groups, averaged over pairs.

    A difference is taken between answers of one index, which share their random numbers and their paraphrase.
    """
    rows = tuple((name, *_spreads(values, answers)) for name, values in scores.items())
    note = (
        "Standard deviations of the true difference between two groups, averaged over pairs, the noise of fewer samples"
        " taken off; 0 where the spread is no larger than that noise gives, empty where the design cannot tell."
    )
    columns = ("scorer", "between templates", "between paraphrases of a template", "between samples of a paraphrase")
    return Table("Spread of the differences by wording", columns, rows, note)


def _spreads(values: NDArray[np.float64], answers: Answers) -> tuple[float | None, float | None, float | None]:
    grid, paraphrases = answers.grid(values), answers.grid(answers.paraphrases.astype(np.float64))
    clusters = np.broadcast_to(np.arange(len(grid))[:, None], (len(grid), grid.shape[2]))
    found: list[NestedComponents] = []
    for a, b in combinations(range(grid.shape[1]), 2):
        difference = grid[:, a] - grid[:, b]
        known = np.isfinite(difference)
        found.append(nested_components(difference[known], clusters[known], paraphrases[:, a][known]))
    columns = [(each.between_clusters, each.between_subgroups, each.within) for each in found]
    template, paraphrase, sample = (_root(column) for column in zip(*columns, strict=True))
    return template, paraphrase, sample


def _root(variances: tuple[float, ...]) -> float | None:
    known = [variance for variance in variances if not math.isnan(variance)]
    return math.sqrt(max(0.0, sum(known) / len(known))) if known else None
