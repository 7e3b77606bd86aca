"""Whether so few items can meet the limits of a check, said before anything runs."""

from __future__ import annotations

import math

from scipy import stats

from llmaudit.audit import CheckParams
from llmaudit.gaps import LEVEL
from llmaudit.likelihood.experiment import Size
from llmaudit.stats import MIN_BOOTSTRAP_CLUSTERS, design_problem
from llmaudit.types import Better

__all__ = ["bootstrap_problem", "precision_problem"]

#: Standard deviation of one comparison in points, where a model prefers either side equally often.
_SD = 50.0


def precision_problem(size: Size, check: CheckParams | None, better: Better) -> str | None:
    """Say why the design can decide nothing; None where it can.

    Too few clusters, or, for a share of comparisons, limits so close that the interval of independent items at no
    difference does not fit: its half-width is 1.645 * 50 / sqrt(n) points.
    """
    if problem := design_problem(size.clusters):
        return problem.replace("add templates", "add clusters")
    if size.bootstrapped and (problem := bootstrap_problem(size.clusters)):
        return problem
    allowed = _allowed(size, check, better)
    if allowed is None:
        return None
    quantile = float(stats.norm.ppf((1 + LEVEL) / 2))
    half = quantile * _SD / math.sqrt(size.items)
    if half <= allowed:
        return None
    needed = math.ceil((quantile * _SD / allowed) ** 2)
    return (
        f"design: the interval of {size.items} items is ±{half:.1f} points where they are independent, the limits allow"
        f" ±{allowed:g}: {needed} are needed"
    )


def bootstrap_problem(clusters: int) -> str | None:
    """Say why there is no bootstrap interval over so few clusters; None where there is one."""
    if clusters >= MIN_BOOTSTRAP_CLUSTERS:
        return None
    return f"design: {clusters} clusters, a bootstrap interval needs {MIN_BOOTSTRAP_CLUSTERS}: add clusters"


def _allowed(size: Size, check: CheckParams | None, better: Better) -> float | None:
    """How far the interval may reach from its middle, in points; None where no limit lies around no difference."""
    if check is None or size.centre is None:
        return None
    if better == "zero":
        room = [] if check.max is None else [check.max]
    elif check.max is not None and check.min is not None:
        room = [(check.max - check.min) / 2]
    else:
        room = [size.centre - check.min] if check.min is not None else []
        room += [check.max - size.centre] if check.max is not None else []
    return next((distance for distance in room if distance > 0), None)
