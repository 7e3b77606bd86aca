"""Shares of answers per group beside their test of no association, for scorers that say yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Table
from llmaudit.groupwise.answers import Answers
from llmaudit.stats import cochran_mantel_haenszel, permutation_null_worst_gap

__all__ = ["proportion_table"]

Array = NDArray[np.float64]


def proportion_table(scores: Mapping[str, Array], answers: Answers, seed: int) -> Table:
    """Compare shares pair by pair (Cochran-Mantel-Haenszel over templates) and, of more than two groups, all at once.

    `scores` holds 0, 1 or NaN per sample for every scorer that says yes or no; a group of NaN alone has no share. All
    groups at once have the p of their widest gap when labels are permuted among the answers of one index of a template.
    """
    rows: list[tuple[str | float | int | None, ...]] = []
    cells = answers.cells
    for name, values in scores.items():
        counts = np.stack([cells.counts(values == answer) for answer in (1.0, 0.0)], axis=-1)
        answered = counts.sum(axis=(0, 2))
        shares = np.full(len(answered), np.nan)
        np.divide(counts[:, :, 0].sum(axis=0), answered, out=shares, where=answered > 0)
        for a, b in combinations(range(len(cells.groups)), 2):
            odds = cochran_mantel_haenszel(counts[:, [a, b], :])
            label = f"{name}: {cells.groups[a]} and {cells.groups[b]}"
            rows.append((label, float(shares[a]), float(shares[b]), odds.odds_ratio, odds.p_value))
        if len(cells.groups) > 2:
            rows.append((f"{name}: all groups", None, None, None, _all_alike(answers, values, seed)))
    note = (
        "p: Cochran-Mantel-Haenszel over templates for a pair, labels permuted within templates for all groups. It"
        " takes the answers to one prompt as independent and so speaks of these templates, not of others like them; the"
        " intervals of the gaps do."
    )
    columns = ("scorer and groups", "share of the first", "share of the second", "common odds ratio", "p")
    return Table("Shares of answers, template by template", columns, tuple(rows), note)


def _all_alike(answers: Answers, values: Array, seed: int) -> float | None:
    grid = answers.grid(values)
    matched = np.moveaxis(grid, 1, 2).reshape(-1, grid.shape[1])
    complete = matched[np.isfinite(matched).all(axis=1)]
    # Rows in which all groups have the same answer add as much to every group, whatever the labels.
    varied = complete[np.ptp(complete, axis=1) > 0]
    return permutation_null_worst_gap(varied, seed).p_value if varied.size else None
