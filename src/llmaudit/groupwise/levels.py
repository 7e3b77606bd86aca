"""Levels and scores per facet, such as one rate per group: from a table over clusters to estimates."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.gaps import LEVEL, level_interval
from llmaudit.groupwise.answers import Answers
from llmaudit.scorers.base import Share
from llmaudit.stats import informedness, simultaneous_t_intervals, widened_share, worst_of
from llmaudit.types import Better, Estimate, Interval

__all__ = ["Levels", "level_estimates", "missing_rates"]


@dataclass(frozen=True, slots=True)
class Levels:
    """One number per cluster and facet."""

    name: str
    unit: str
    better: Better
    """`lower` or `higher`: which facet is the worst."""
    clusters: tuple[str, ...]
    facets: tuple[str, ...]
    table: NDArray[np.float64]
    """Shape (clusters, facets); NaN where a cluster has no number."""
    n: tuple[int, ...]
    """Samples that went in, for each facet."""
    missing: tuple[int, ...]
    problems: tuple[str | None, ...]
    """Why a facet cannot be judged, for each facet."""
    errors: tuple[Share, Share] | None = None
    """Sensitivity and specificity of what says yes or no, for which intervals are widened; None for unknown."""


def level_estimates(levels: Levels) -> dict[str, Estimate]:
    """Estimate every facet's mean over clusters (`NAME.facet`) and the worst of them (`NAME`).

    The worst is judged on simultaneous intervals. Proportions have the interval of `proportion_interval` inside [0, 1],
    widened for the errors of their scorer where they are known; other numbers a t interval.
    """
    columns = [column[np.isfinite(column)] for column in levels.table.T]
    facets = {
        f"{levels.name}.{facet}": Estimate(
            metric=f"{levels.name}.{facet}",
            value=float(columns[number].mean()) if columns[number].size else math.nan,
            interval=_one(levels, columns[number], LEVEL),
            unit=levels.unit,
            better=levels.better,
            n=levels.n[number],
            clusters=int(columns[number].size),
            missing=levels.missing[number],
            problem=levels.problems[number],
            cluster_values=dict(zip(levels.clusters, levels.table[:, number].tolist(), strict=True)),
        )
        for number, facet in enumerate(levels.facets)
    }
    values = [estimate.value for estimate in facets.values()]
    worst = worst_of(_together(levels, columns), values, levels.better)
    bare = replace(
        list(facets.values())[worst.facet],
        metric=levels.name,
        value=worst.value,
        interval=worst.interval,
        problem=next((problem for problem in levels.problems if problem), None),
    )
    return {levels.name: bare, **facets}


def missing_rates(answers: Answers) -> dict[str, Estimate]:
    """Estimate the share of requests without an answer, per group and in the worst of them."""
    cells = answers.cells
    lost = np.array([float(text is None) for text in answers.texts])
    asked = np.bincount(cells.columns, minlength=len(cells.groups))
    nothing = len(cells.groups)
    levels = Levels(
        "missing_rate",
        "proportion",
        "lower",
        cells.clusters,
        cells.groups,
        cells.means(lost),
        n=tuple(asked.tolist()),
        missing=(0,) * nothing,
        problems=(None,) * nothing,
    )
    return level_estimates(levels)


def _one(levels: Levels, column: NDArray[np.float64], level: float) -> Interval | None:
    found = level_interval(levels.unit, column, level)
    informed = informedness(*levels.errors) if levels.errors else None
    if found is None or levels.errors is None or informed is None or informed.useless:
        return found
    return widened_share(found, *levels.errors)


def _together(levels: Levels, columns: list[NDArray[np.float64]]) -> list[Interval | None]:
    if levels.unit != "proportion":
        return simultaneous_t_intervals(columns, LEVEL)
    found = [_one(levels, column, 1 - (1 - LEVEL) / len(columns)) for column in columns]
    return [interval and replace(interval, level=LEVEL) for interval in found]
