"""What the names and terms of groups cost in tokens: differences between groups, the term being the unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import stats

from llmaudit.audit import Metric
from llmaudit.stats import clopper_pearson, welch_interval, worst_absolute
from llmaudit.token_costs.clusters import LEVEL, MAX_MISSING
from llmaudit.token_costs.counts import Array
from llmaudit.types import Estimate, Interval, Sample, Tokens

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
    together = [_interval(costs[a], costs[b], len(pairs)) for a, b in pairs]
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
        interval=_interval(first, second, 1),
        unit=metric.unit,
        better="zero",
        n=asked - missing,
        # Each group needs its own terms to stand for others like them: the smaller one decides.
        clusters=min(first.counted.size, second.counted.size),
        missing=missing,
        problem=_lost(missing, asked) if too_many else None,
    )


def _interval(first: TermCosts, second: TermCosts, tests: int) -> Interval | None:
    """Interval of the difference in means, such that as many of them as there are tests hold together."""
    coverage = 1 - (1 - LEVEL) / tests
    samples = [_with_pseudo_terms(each.counted, coverage) for each in (first, second)]
    found = welch_interval(samples[0], samples[1], coverage)
    method = "Welch t with two pseudo-terms a group" + (f" (Bonferroni over {tests})" if tests > 1 else "")
    return found and replace(found, level=LEVEL, method=method)


def _with_pseudo_terms(tokens: Array, coverage: float) -> Array:
    """Add two terms, h tokens above and below the mean.

    Names that are all single tokens show no variation, and say little of the next name. As in
    `gaps.proportion_interval`, h is such that n terms of one length give the exact bound 1 - ((1 - coverage)/2)^(1/n)
    on the share of terms with a token more.
    """
    size = tokens.size
    bound = clopper_pearson(0, size, coverage) if size > 1 else None
    if bound is None:
        return tokens
    quantile = float(stats.t.ppf((1 + coverage) / 2, size + 1))
    h = bound.high / (quantile * math.sqrt(2 / ((size + 1) * (size + 2))))
    return np.append(tokens, tokens.mean() + np.array([h, -h]))


def _without_interval(gap: Estimate) -> Estimate:
    """The same difference as a fact about these terms."""
    problem = _lost(gap.missing, gap.n + gap.missing)
    return replace(gap, metric=f"exact_{gap.metric}", interval=None, deterministic=True, problem=problem)


def _lost(missing: int, asked: int) -> str | None:
    return f"{missing} of {asked} terms could not be tokenized" if missing else None


def _first_problem(facets: Sequence[Estimate]) -> str | None:
    return next((f"{facet.metric}: {facet.problem}" for facet in facets if facet.problem), None)
