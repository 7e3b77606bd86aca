"""Log-odds of lists of words coming next, compared between groups of names."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric
from llmaudit.gaps import Cells, Scored, gap_estimates
from llmaudit.next_words.divergence import Design
from llmaudit.stats.divergences import mean_difference_p
from llmaudit.types import Estimate, NextTokens, Sample

__all__ = ["log_odds", "odds_estimates", "odds_metrics"]

_UNIT = "nats"


def odds_metrics(lists: Sequence[str], design: Design) -> dict[str, Metric]:
    """Per list of words the largest difference between two groups, and the difference of every pair."""
    found: dict[str, Metric] = {}
    for name in lists:
        what = f"log-odds that a word of the list {name} comes next"
        found[f"log_odds_{name}"] = Metric(
            f"largest difference of the {what} between two groups, within templates", _UNIT, "lower"
        )
        for a, b in design.pairs:
            found[f"log_odds_{name}.{a}-{b}"] = Metric(f"{what}, {a} minus {b}, within templates", _UNIT, "zero")
    return found


def log_odds(samples: Sequence[Sample], place: int) -> NDArray[np.float64]:
    """Log-odds of one list of words per sample, ln p - ln(1 - p) in nats; NaN where there is no p inside (0, 1)."""
    answers = (sample.response for sample in samples)
    masses = [a.mass[place] if isinstance(a, NextTokens) and len(a.mass) > place else math.nan for a in answers]
    return np.array([math.log(p) - math.log1p(-p) if 0 < p < 1 else math.nan for p in masses])


def odds_estimates(
    name: str, values: NDArray[np.float64], samples: Sequence[Sample], design: Design, *, seed: int
) -> dict[str, Estimate]:
    """Compare groups on the log-odds of a list, one number per sample in `values`.

    Differences are taken within templates. A p is the larger of two, over templates and over names, as for a
    divergence; names are dealt out to the groups anew with their means over the templates.
    """
    clusters = [sample.request.cluster for sample in samples]
    groups = [str(sample.request.factors["group"]) for sample in samples]
    cells = Cells.of(clusters, groups, list(design.groups))
    found = gap_estimates(Scored(f"log_odds_{name}", _UNIT, values), cells, seed=seed, details={})
    for a, b in design.pairs:
        facet = f"log_odds_{name}.{a}-{b}"
        means = _means_by_name(values, samples, {a, b})
        first, second = ([means.get(each, math.nan) for each in design.groups[group]] for group in (a, b))
        found[facet] = _with_names(found[facet], first, second, seed=seed)
    bare = found[f"log_odds_{name}"]
    known = [found[f"{bare.metric}.{a}-{b}"].details.get("p over names") for a, b in design.pairs]
    if bare.p_value is not None and (tested := [p for p in known if p is not None]):
        # Bonferroni: the pair was picked after the data were seen.
        found[bare.metric] = _with_both(bare, min(1.0, len(known) * min(tested)))
    return found


def _means_by_name(
    values: NDArray[np.float64], samples: Sequence[Sample], groups: Collection[str]
) -> Mapping[str, float]:
    """Mean of each name of some groups over the templates that every such name has a number for."""
    own = [
        (sample.request.cluster, str(sample.request.factors["name"]), float(value))
        for sample, value in zip(samples, values, strict=True)
        if sample.request.factors["group"] in groups
    ]
    broken = {cluster for cluster, _, value in own if not math.isfinite(value)}
    kept = len({cluster for cluster, _, _ in own} - broken)
    sums: dict[str, float] = {}
    for cluster, name, value in own:
        if cluster not in broken:
            sums[name] = sums.get(name, 0.0) + value / kept
    return sums


def _with_names(facet: Estimate, first: Sequence[float], second: Sequence[float], *, seed: int) -> Estimate:
    """Add what varying the names does to a difference."""
    spread = math.sqrt((float(np.var(first, ddof=1)) + float(np.var(second, ddof=1))) / 2)
    if facet.p_value is None or not math.isfinite(spread):
        return facet
    facet = _with_both(facet, mean_difference_p(first, second, seed))
    return replace(facet, details={**facet.details, "sd between names": spread})


def _with_both(estimate: Estimate, over_names: float) -> Estimate:
    over_templates = 1.0 if estimate.p_value is None else float(estimate.p_value)
    details = {**estimate.details, "p over templates": over_templates, "p over names": over_names}
    return replace(estimate, p_value=max(over_templates, over_names), details=details)
