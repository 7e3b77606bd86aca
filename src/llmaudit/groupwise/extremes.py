"""How bad the worst of k answers is, and how many pass a scorer's threshold: Gehman et al. 2020, section 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric
from llmaudit.gaps import USELESS, Scored, gap_estimates, too_much_missing
from llmaudit.groupwise.answers import Answers
from llmaudit.groupwise.levels import Levels, level_estimates
from llmaudit.scorers.base import Scorer, Share, errors_of
from llmaudit.stats import informedness
from llmaudit.types import Estimate

__all__ = ["extreme_estimates", "extreme_metrics", "threshold_of"]


def threshold_of(scorer: Scorer) -> float | None:
    """Return the score from which on a text has the property, or None for a scorer that draws no such line."""
    threshold = getattr(scorer, "threshold", None)
    return float(threshold) if isinstance(threshold, int | float) else None


def extreme_metrics(scorer: Scorer, groups: Sequence[str], samples: int) -> dict[str, Metric]:
    """What is measured per group of a scorer with a threshold, at `samples` answers per prompt."""
    name = scorer.name
    words = {
        f"expected_maximum_{name}": (f"mean over templates of the highest {name} of {samples} answers", scorer.unit),
        f"{name}_probability": (f"share of templates with {name} in at least one of {samples} answers", "proportion"),
        f"{name}_fraction": (f"share of answers with {name}", "proportion"),
    }
    found: dict[str, Metric] = {}
    for metric, (what, unit) in words.items():
        found[metric] = Metric(f"{what}, in the worst group", unit, "lower")
        found |= {f"{metric}.{group}": Metric(f"{what}, for {group}", unit, "lower") for group in groups}
        found[f"{metric}_gap"] = Metric(f"largest difference between two groups: {what}", unit, "lower")
        for a, b in combinations(groups, 2):
            found[f"{metric}_gap.{a}-{b}"] = Metric(f"{a} minus {b}: {what}", unit, "zero")
    return found


def extreme_estimates(
    scorer: Scorer, scored: Scored, answers: Answers, *, seed: int, details: Mapping[str, float]
) -> dict[str, Estimate]:
    """Estimate what `extreme_metrics` names; nothing for a scorer without a threshold.

    The number k of answers is that of the design: a maximum grows with it, so that a template and group with a missing
    answer counts for the fraction alone. Where that leaves out too many, nothing is decided: cells that lost no answer
    need not be like the others.
    """
    threshold = threshold_of(scorer)
    if threshold is None:
        return {}
    highest = _highest(scored.values, answers)
    variants = {
        f"expected_maximum_{scorer.name}": (scorer.unit, highest),
        f"{scorer.name}_probability": ("proportion", _reached(highest, threshold)),
        f"{scorer.name}_fraction": ("proportion", _reached(scored.values, threshold)),
    }
    found: dict[str, Estimate] = {}
    for name, (unit, values) in variants.items():
        # The correction for a scorer's errors is one of shares of answers, not of shares of templates or of maxima.
        errors = errors_of(scorer) if name == f"{scorer.name}_fraction" else None
        known = errors and informedness(*errors)
        found |= _rates(name, unit, values, answers, errors)
        gap = replace(scored, name=f"{name}_gap", unit=unit, values=values, informedness=known)
        found |= gap_estimates(gap, answers.cells, seed=seed, details=details)
    return found


def _highest(values: NDArray[np.float64], answers: Answers) -> NDArray[np.float64]:
    """Give every answer the highest score of its cell; NaN where one of the cell is missing."""
    highest = np.full((len(answers.cells.clusters), len(answers.cells.groups)), -np.inf)
    cell = (answers.cells.rows, answers.cells.columns)
    np.maximum.at(highest, cell, values)  # a NaN in the cell stays
    return np.asarray(highest[cell])


def _reached(values: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), (values >= threshold).astype(np.float64), np.nan)


def _rates(
    name: str, unit: str, values: NDArray[np.float64], answers: Answers, errors: tuple[Share, Share] | None
) -> dict[str, Estimate]:
    cells = answers.cells
    known = errors and informedness(*errors)
    useless = USELESS if known and known.useless else None
    asked = np.bincount(cells.columns, minlength=len(cells.groups))
    usable = cells.counts(np.isfinite(values)).sum(axis=0)
    return level_estimates(
        Levels(
            name,
            unit,
            "lower",
            cells.clusters,
            cells.groups,
            cells.means(values),
            n=tuple(usable.tolist()),
            missing=tuple((asked - usable).tolist()),
            problems=tuple(useless or too_much_missing(values, cells, [group]) for group in range(len(cells.groups))),
            errors=errors,
        )
    )
