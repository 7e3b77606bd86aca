"""What the names and terms of groups cost in tokens: differences between groups, the term being the unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from llmaudit.audit import Metric
from llmaudit.stats import simultaneous_welch_intervals, welch_interval, worst_absolute
from llmaudit.token_costs.clusters import LEVEL, MAX_MISSING
from llmaudit.token_costs.counts import Array
from llmaudit.types import Estimate, Sample, Tokens

__all__ = ["TermCosts", "term_costs", "term_estimates"]


@dataclass(frozen=True, slots=True)
class TermCosts:
    """Tokens of the terms of a group."""

    terms: tuple[str, ...]
    tokens: Array
    """Shape (terms,); NaN where a term could not be tokenized."""

    @property
    def counted(self) -> Array:
        """Tokens of the terms that could be tokenized."""
        return self.tokens[np.isfinite(self.tokens)]

    @property
    def mean(self) -> float:
        """Mean tokens of a term, NaN without any."""
        return float(self.counted.mean()) if self.counted.size else math.nan

    @property
    def missing(self) -> int:
        """Number of terms that could not be tokenized."""
        return len(self.terms) - self.counted.size


def term_costs(groups: Sequence[str], samples: Sequence[Sample]) -> dict[str, TermCosts]:
    """Count the tokens of every term, by group."""
    found = {}
    for group in groups:
        own = [sample for sample in samples if sample.request.factors.get("group") == group]
        tokens = [float(len(s.response.ids)) if isinstance(s.response, Tokens) else math.nan for s in own]
        found[group] = TermCosts(tuple(s.request.cluster for s in own), np.array(tokens, dtype=np.float64))
    return found


def term_estimates(costs: Mapping[str, TermCosts], metrics: Mapping[str, Metric]) -> dict[str, Estimate]:
    """Mean tokens per group, and differences between groups: of these terms, and of terms like them."""
    means = [_mean(f"term_cost.{group}", metrics["term_cost"], cost) for group, cost in costs.items()]
    dearest = max(means, key=lambda each: -math.inf if math.isnan(each.value) else each.value)
    problem = _first_problem(means)
    pairs = list(combinations(costs, 2))
    gaps = [_gap(f"term_cost_gap.{a}-{b}", metrics["term_cost_gap"], costs[a], costs[b]) for a, b in pairs]
    samples = [(costs[a].counted, costs[b].counted) for a, b in pairs]
    together = simultaneous_welch_intervals(samples, LEVEL)
    worst = worst_absolute(together, [gap.value for gap in gaps])
    bare = replace(
        gaps[worst.facet],
        metric="term_cost_gap",
        value=worst.value,
        interval=worst.interval,
        better="lower",
        clusters=min(gap.clusters for gap in gaps),
        problem=_first_problem(gaps),
        cluster_values={},
    )
    exact = [_without_interval(gap) for gap in (bare, *gaps)]
    return {
        "term_cost": replace(dearest, metric="term_cost", problem=problem),
        **{each.metric: each for each in (*means, bare, *gaps, *exact)},
    }


def _mean(name: str, metric: Metric, cost: TermCosts) -> Estimate:
    n = cost.counted.size
    return Estimate(
        name,
        cost.mean,
        None,
        metric.unit,
        metric.better,
        n,
        n,
        cost.missing,
        deterministic=True,
        problem=_lost(cost.missing, len(cost.terms)),
        cluster_values=dict(zip(cost.terms, cost.tokens.tolist(), strict=True)),
    )


def _gap(name: str, metric: Metric, first: TermCosts, second: TermCosts) -> Estimate:
    missing, asked = first.missing + second.missing, len(first.terms) + len(second.terms)
    too_many = any(each.missing > MAX_MISSING * len(each.terms) for each in (first, second))
    return Estimate(
        metric=name,
        value=first.mean - second.mean,
        interval=welch_interval(first.counted, second.counted, LEVEL),
        unit=metric.unit,
        better="zero",
        n=asked - missing,
        # Each group needs its own terms to stand for others like them: the smaller one decides.
        clusters=min(first.counted.size, second.counted.size),
        missing=missing,
        problem=_lost(missing, asked) if too_many else None,
    )


def _without_interval(gap: Estimate) -> Estimate:
    """The same difference as a fact about these terms."""
    problem = _lost(gap.missing, gap.n + gap.missing)
    return replace(gap, metric=f"exact_{gap.metric}", interval=None, deterministic=True, problem=problem)


def _lost(missing: int, asked: int) -> str | None:
    return f"{missing} of {asked} terms could not be tokenized" if missing else None


def _first_problem(facets: Sequence[Estimate]) -> str | None:
    return next((f"{facet.metric}: {facet.problem}" for facet in facets if facet.problem), None)
