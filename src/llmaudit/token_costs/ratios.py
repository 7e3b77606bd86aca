"""Ratios of token counts with intervals, the document being the unit."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from llmaudit.audit import Metric
from llmaudit.stats import (
    jackknife_interval,
    ratio_intervals,
    simultaneous_jackknife_intervals,
    simultaneous_ratio_intervals,
)
from llmaudit.token_costs.clusters import LEVEL, Documents, counting_problem, with_worst
from llmaudit.token_costs.counts import Array
from llmaudit.types import Estimate, Interval

__all__ = ["normalised_estimates", "ratio_estimates", "scaled"]

#: The largest logarithm of a float.
_LARGEST = math.log(sys.float_info.max)


def ratio_estimates(
    name: str,
    metric: Metric,
    pairs: Mapping[str, tuple[Array, Array]],
    unknown: Mapping[str, float],
    documents: Sequence[str] | None = None,
) -> dict[str, Estimate]:
    """One ratio of sums per language, and under the bare name the worst, on simultaneous intervals.

    pairs: language -> (numerator, denominator), one number per sentence. unknown: language -> share of its tokens that
    are unknown: above a tenth its counts say nothing. documents: what each sentence comes from, the unit of analysis;
    None makes every sentence its own.
    """
    if not pairs:
        return {}
    summed = {language: Documents.of(pair, documents) for language, pair in pairs.items()}
    overs, unders = zip(*(found.kept for found in summed.values()), strict=True)
    facets = []
    for (language, found), interval in zip(summed.items(), ratio_intervals(overs, unders, LEVEL), strict=True):
        over, under = (float(each.sum()) for each in found.kept)
        facet = _facet(f"{name}.{language}", metric, found, over / under if under else math.nan, interval)
        problem = counting_problem(found.missing, len(pairs[language][0]), unknown[language])
        facets.append(replace(facet, problem=problem))
    return with_worst(name, metric, facets, simultaneous_ratio_intervals(overs, unders, LEVEL))


def normalised_estimates(
    name: str,
    metric: Metric,
    counts: Mapping[str, tuple[Array, Array, Array, Array]],
    unknown: Mapping[str, float],
    documents: Sequence[str] | None = None,
) -> dict[str, Estimate]:
    """One ratio of two ratios of sums per language, (a / b) / (c / d), and under the bare name the worst.

    counts: language -> a, b, c, d, one number each per sentence: tokens, tokens of the reference, bytes, bytes of the
    reference. The interval is a jackknife over documents on the logarithm.
    """
    if not counts:
        return {}
    summed = {language: Documents.of(of, documents) for language, of in counts.items()}
    logs, without = [], []
    for found in summed.values():
        sums = np.stack(found.kept)
        whole = sums.sum(axis=1)
        logs.append(float(_log_ratio(whole)))
        without.append(_log_ratio(whole[:, np.newaxis] - sums))
    facets = []
    for (language, found), log, others in zip(summed.items(), logs, without, strict=True):
        interval = _exponential(jackknife_interval(log, others, LEVEL))
        facet = _facet(f"{name}.{language}", metric, found, math.exp(log), interval)
        problem = counting_problem(found.missing, len(counts[language][0]), unknown[language])
        facets.append(replace(facet, problem=problem))
    together = [_exponential(each) for each in simultaneous_jackknife_intervals(logs, without, LEVEL)]
    return with_worst(name, metric, facets, together)


def scaled(estimates: Mapping[str, Estimate], old: str, new: str, metric: Metric, factor: float) -> dict[str, Estimate]:
    """Return the estimates of `old`, its facets included, times a factor above 0, under the name `new`."""
    found = {}
    for name, estimate in estimates.items():
        bare, dot, facet = name.partition(".")
        if bare == old:
            interval = estimate.interval
            found[f"{new}{dot}{facet}"] = replace(
                estimate,
                metric=f"{new}{dot}{facet}",
                value=estimate.value * factor,
                interval=interval and replace(interval, low=interval.low * factor, high=interval.high * factor),
                unit=metric.unit,
                problem=estimate.problem and estimate.problem.replace(f"{old}.", f"{new}.", 1),
                cluster_values={name: value * factor for name, value in estimate.cluster_values.items()},
            )
    return found


def _facet(name: str, metric: Metric, found: Documents, value: float, interval: Interval | None) -> Estimate:
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.exp(_log_ratio(np.stack(found.sums))) if len(found.sums) == 4 else found.sums[0] / found.sums[1]
    # A document keeps its name whatever happens to the others.
    values = {
        document: float(v) if math.isfinite(v) else math.nan for document, v in zip(found.names, each, strict=True)
    }
    return Estimate(
        metric=name,
        value=value,
        interval=interval,
        unit=metric.unit,
        better=metric.better,
        n=found.passages,
        clusters=len(found.kept[0]),
        missing=found.missing,
        cluster_values=values,
    )


def _log_ratio(sums: Array) -> Array:
    """ln((a / b) / (c / d)) of sums of shape (4, ...)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b, c, d = np.log(sums)
        found: Array = np.asarray(a - b - c + d)
    return np.where(np.isfinite(found), found, math.nan)


def _exponential(interval: Interval | None) -> Interval | None:
    """The interval of a ratio from that of its logarithm; None where it has no bound that a float can hold."""
    if interval is None or interval.high > _LARGEST:
        return None
    method = f"{interval.method}, on the logarithm"
    return replace(interval, low=math.exp(interval.low), high=math.exp(interval.high), method=method)
