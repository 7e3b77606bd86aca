"""How a text uses a vocabulary, and how unequally languages pay for the same text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric
from llmaudit.stats import (
    gini,
    jackknife_interval,
    renyi_efficiency,
    renyi_efficiency_without_each,
    simultaneous_jackknife_intervals,
)
from llmaudit.token_costs.clusters import LEVEL, Documents, counting_problem, with_worst
from llmaudit.token_costs.counts import Array
from llmaudit.types import Estimate

__all__ = ["coverage_estimate", "efficiency_estimates", "gini_estimate"]

#: Token ids per passage, None where it could not be tokenized.
Ids = Sequence[NDArray[np.int64] | None]

_SIZE_UNKNOWN = "the size of the vocabulary is not known"


def efficiency_estimates(
    name: str,
    metric: Metric,
    ids: Mapping[str, Ids],
    vocabulary: int | None,
    unknown: Mapping[str, float],
    documents: Sequence[str],
) -> dict[str, Estimate]:
    """Renyi efficiency per language, with a jackknife over documents, and under the bare name the worst.

    vocabulary: its size, None where that is not known (the estimates are NaN then).
    """
    facets, without = [], []
    for language, passages in ids.items():
        clusters = list(_clusters(passages, documents).values())
        value, others = math.nan, np.zeros(0)
        if vocabulary and clusters:
            used = np.unique(np.concatenate(clusters), return_counts=True)[1]
            size = max(vocabulary, used.size)
            value, others = renyi_efficiency(used, size), renyi_efficiency_without_each(clusters, size)
        missing = sum(each is None for each in passages)
        problem = counting_problem(missing, len(passages), unknown[language])
        facets.append(
            Estimate(
                metric=f"{name}.{language}",
                value=value,
                interval=jackknife_interval(value, others, LEVEL),
                unit=metric.unit,
                better=metric.better,
                n=len(passages) - missing,
                clusters=len(clusters),
                missing=missing,
                problem=problem if vocabulary else _SIZE_UNKNOWN,
            )
        )
        without.append(others)
    values = [facet.value for facet in facets]
    return with_worst(name, metric, facets, simultaneous_jackknife_intervals(values, without, LEVEL))


def gini_estimate(
    name: str, metric: Metric, tokens: Mapping[str, Array], unknown: Mapping[str, float], documents: Sequence[str]
) -> Estimate:
    """Gini coefficient over languages of the tokens of the same text, with a jackknife over documents."""
    found = Documents.of(list(tokens.values()), documents)
    sums = np.stack(found.kept)
    whole = sums.sum(axis=1)
    value = float(gini(whole))
    interval = jackknife_interval(value, gini((whole[:, np.newaxis] - sums).T), LEVEL)
    asked = found.passages + found.missing
    problems = ((language, counting_problem(found.missing, asked, share)) for language, share in unknown.items())
    return Estimate(
        metric=name,
        value=value,
        interval=interval and replace(interval, low=max(interval.low, 0.0), high=min(interval.high, 1.0)),
        unit=metric.unit,
        better=metric.better,
        n=found.passages * len(tokens),
        clusters=sums.shape[1],
        missing=found.missing * len(tokens),
        problem=next((f"{language}: {problem}" for language, problem in problems if problem), None),
        cluster_values=dict(zip(found.names, gini(np.stack(found.sums).T).tolist(), strict=True)),
    )


def coverage_estimate(name: str, metric: Metric, ids: Mapping[str, Ids], vocabulary: int | None) -> Estimate:
    """Share of the vocabulary that the text in all its languages uses."""
    passages = [each for of in ids.values() for each in of]
    counted = [each for each in passages if each is not None]
    used = np.unique(np.concatenate(counted)).size if counted else 0
    lost = len(passages) - len(counted)
    problem = f"{lost} of {len(passages)} texts could not be tokenized" if lost else None
    return Estimate(
        metric=name,
        value=used / vocabulary if vocabulary and counted else math.nan,
        interval=None,
        unit=metric.unit,
        better=metric.better,
        n=len(counted),
        clusters=len(counted),
        missing=lost,
        deterministic=True,
        problem=problem if vocabulary else _SIZE_UNKNOWN,
        details={"tokens used": float(used)},
    )


def _clusters(passages: Ids, documents: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Token ids per document that could be tokenized."""
    parts: dict[str, list[NDArray[np.int64]]] = {}
    for document, passage in zip(documents, passages, strict=True):
        if passage is not None:
            parts.setdefault(document, []).append(passage)
    return {document: np.concatenate(each) for document, each in parts.items()}
