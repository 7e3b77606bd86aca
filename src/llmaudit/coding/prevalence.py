"""How common a category is: shares of answers, with the prompt as the unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.coding.codebook import ANY
from llmaudit.coding.codes import Coded
from llmaudit.gaps import LEVEL, MAX_MISSING, Cells, Scored, gap_estimates, proportion_interval
from llmaudit.stats import worst_of
from llmaudit.types import Estimate, Interval

__all__ = ["gaps_of_prevalence", "prevalence_estimates", "share", "worst_share"]

Array = NDArray[np.float64]


def prevalence_estimates(
    coded: Coded, parts: Mapping[str, Sequence[bool]], problems: Mapping[str, str | None]
) -> dict[str, Estimate]:
    """Estimate `prevalence.CATEGORY`, its facets, the commonest category (`prevalence`) and `any_category`.

    `parts` says of a set of prompts or a group which answers are its own: `prevalence.CATEGORY.PART`. `problems` says
    why a category cannot be judged, None where it can.
    """
    found: dict[str, Estimate] = {}
    categories = [name for name in coded.first if name != ANY]
    for name in categories:
        codes, metric = coded.first[name], f"prevalence.{name}"
        found[metric] = share(metric, codes, coded.clusters, problems[name])
        for part, mine in parts.items():
            inside = np.array(mine, dtype=np.bool_)
            clusters = [cluster for cluster, own in zip(coded.clusters, mine, strict=True) if own]
            found[f"{metric}.{part}"] = share(f"{metric}.{part}", codes[inside], clusters, problems[name])
    worst = worst_share("prevalence", [found[f"prevalence.{name}"] for name in categories])
    return {"prevalence": worst, ANY: share(ANY, coded.first[ANY], coded.clusters, problems[ANY]), **found}


def gaps_of_prevalence(
    coded: Coded, cells: Cells, problems: Mapping[str, str | None], seed: int
) -> dict[str, Estimate]:
    """Estimate the differences between groups: `prevalence_gap.CATEGORY` and `prevalence_gap.CATEGORY.a-b`."""
    found: dict[str, Estimate] = {}
    for name, codes in coded.first.items():
        if name != ANY:
            scored = Scored(f"prevalence_gap.{name}", "proportion", codes)
            for metric, gap in gap_estimates(scored, cells, seed=seed, details={}).items():
                found[metric] = replace(gap, problem=problems[name] or gap.problem)
    return found


def share(metric: str, codes: Array, clusters: Sequence[str], problem: str | None = None) -> Estimate:
    """Estimate the share of texts with code 1 from codes of shape (texts,): 1, 0, or NaN for no answer.

    Texts are averaged within their cluster first. `problem` says why the codes decide nothing, whatever they are.
    """
    usable = np.isfinite(codes)
    means = _cluster_means(codes, clusters)
    lost = len(codes) - int(usable.sum())
    if not usable.any():
        problem = problem or "there are no answers"
    elif lost > MAX_MISSING * len(codes):
        problem = problem or f"{lost / len(codes):.0%} of the answers could not be used (at most {MAX_MISSING:.0%})"
    return Estimate(
        metric=metric,
        value=float(np.mean(list(means.values()))) if means else math.nan,
        interval=_interval(means, LEVEL),
        unit="proportion",
        better="lower",
        n=int(usable.sum()),
        clusters=len(means),
        missing=lost,
        problem=problem,
        cluster_values=means,
    )


def worst_share(metric: str, facets: Sequence[Estimate]) -> Estimate:
    """Estimate the largest of several shares on intervals that hold together."""
    together = 1 - (1 - LEVEL) / len(facets)
    intervals = [
        (found := _interval(facet.cluster_values, together))
        and replace(found, level=LEVEL, method=f"{found.method} (Bonferroni over {len(facets)})")
        for facet in facets
    ]
    worst = worst_of(intervals, [facet.value for facet in facets], "lower")
    # A category that cannot be judged may be the commonest one.
    problem = next((facet.problem for facet in facets if facet.problem), None)
    return replace(facets[worst.facet], metric=metric, value=worst.value, interval=worst.interval, problem=problem)


def _cluster_means(codes: Array, clusters: Sequence[str]) -> dict[str, float]:
    inside: dict[str, list[float]] = {}
    for cluster, code in zip(clusters, codes.tolist(), strict=True):
        if math.isfinite(code):
            inside.setdefault(cluster, []).append(code)
    return {cluster: sum(own) / len(own) for cluster, own in inside.items()}


def _interval(means: Mapping[str, float], level: float) -> Interval | None:
    found = proportion_interval(np.array(list(means.values())), level)
    return found and replace(found, low=max(0.0, found.low), high=min(1.0, found.high))
