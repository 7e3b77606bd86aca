"""Whether whole distributions of scores differ between groups, not their means alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from llmaudit.audit import Metric
from llmaudit.gaps import LEVEL, Scored, proportion_interval
from llmaudit.groupwise.answers import Answers
from llmaudit.stats import t_interval, wasserstein_excess
from llmaudit.types import Estimate

__all__ = ["distribution_gap", "distribution_metric"]


def distribution_metric(scorer: str, unit: str) -> Metric:
    """What the distributional gap of a scorer means."""
    what = f"mean distance between the groups' distributions of {scorer} within templates, beyond what chance gives"
    return Metric(what, unit, "lower")


def distribution_gap(scored: Scored, answers: Answers, *, seed: int, details: Mapping[str, float]) -> Estimate:
    """Estimate the mean over templates of the pairwise 1-Wasserstein distance minus its permutation null.

    The interval is the t interval of the templates' excess, the p that of the null (`wasserstein_excess`). `scored`
    carries the name of the metric.
    """
    grid = answers.grid(scored.values)
    grid[:, scored.usable(answers.cells) < scored.min_answers] = np.nan
    found = wasserstein_excess(grid, seed)
    kept = found.excess[np.isfinite(found.excess)]
    levels = {"distance": found.observed, "distance by chance": found.null}
    finite = np.isfinite(scored.values)
    # Where nothing was ever seen to differ a t interval has no width, though unseen templates might differ.
    interval = proportion_interval if scored.unit == "proportion" else t_interval
    return Estimate(
        metric=scored.name,
        value=float(kept.mean()) if kept.size else math.nan,
        interval=interval(kept, LEVEL),
        unit=scored.unit,
        better="lower",
        n=int(finite.sum()),
        clusters=int(kept.size),
        missing=int((~finite).sum()),
        p_value=found.p_value,
        problem=scored.problem(answers.cells, range(len(answers.cells.groups))),
        cluster_values=dict(zip(answers.cells.clusters, found.excess.tolist(), strict=True)),
        details={**details, **{name: float(np.nanmean(values)) for name, values in levels.items() if kept.size}},
    )
