"""Token counts of sentences, and ratios of them with intervals."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric
from llmaudit.stats import ratio_interval, simultaneous_ratio_intervals, worst_of
from llmaudit.types import Estimate, Sample, Tokenize, Tokens

__all__ = ["Array", "count", "ratio_estimates"]

LEVEL = 0.90
#: Share of unknown tokens above which a token count says nothing (Petrov et al. 2023, section 3).
MAX_UNKNOWN = 0.10
#: Share of sentences without a count above which the others cannot stand for them.
MAX_MISSING = 0.20

Array = NDArray[np.float64]

_WORD = re.compile(r"\S+")


def count(language: str, samples: Sequence[Sample]) -> dict[str, Array]:
    """Count per sentence, NaN where it could not be tokenized."""
    mine = [s for s in samples if s.request.factors["language"] == language and "list" not in s.request.factors]
    rows = [_count_one(sample) for sample in mine]
    names = ("tokens", "words", "characters", "bytes", "continued", "fragments", "unknown", "broken")
    return {name: np.array([row.get(name, math.nan) for row in rows], dtype=np.float64) for name in names}


def _count_one(sample: Sample) -> dict[str, float]:
    request, tokens = sample.request, sample.response
    if not isinstance(request, Tokenize) or not isinstance(tokens, Tokens):
        return {}
    text = request.text
    return {
        "tokens": len(tokens.ids),
        "words": len(_WORD.findall(text)),
        "characters": len(text),
        "bytes": len(text.encode()),
        "continued": _continued(text, tokens),
        "fragments": tokens.byte_fallback,
        "unknown": tokens.unknown,
        "broken": float(tokens.decoded != text),
    }


def _continued(text: str, tokens: Tokens) -> float:
    """Number of words in which two or more tokens start; a leading space belongs to the word behind it."""
    if len(tokens.starts) != len(tokens.ids):
        return math.nan
    ends = [match.end() for match in _WORD.finditer(text)]
    inside = Counter(bisect_right(ends, start) for start in tokens.starts)
    return float(sum(inside[word] > 1 for word in range(len(ends))))


def ratio_estimates(
    name: str, metric: Metric, pairs: Mapping[str, tuple[Array, Array]], unknown: Mapping[str, float]
) -> dict[str, Estimate]:
    """One ratio of sums per language, and under the bare name the worst, on simultaneous intervals.

    pairs: language -> (numerator, denominator), one number per sentence. unknown: language -> share of its tokens that
    are unknown: above a tenth its counts say nothing.
    """
    if not pairs:
        return {}
    kept = {language: _complete(*pair) for language, pair in pairs.items()}
    facets = []
    for language, (over, under) in pairs.items():
        facet = _facet(f"{name}.{language}", metric, over, under)
        facets.append(replace(facet, problem=_problem(facet.missing, len(over), unknown[language])))
    overs, unders = zip(*kept.values(), strict=True)
    intervals = simultaneous_ratio_intervals(overs, unders, LEVEL)
    worst = worst_of(intervals, [facet.value for facet in facets], metric.better)
    # A language that cannot be judged may be the worst one.
    problem = next((f"{facet.metric}: {facet.problem}" for facet in facets if facet.problem), None)
    bare = replace(facets[worst.facet], metric=name, value=worst.value, interval=worst.interval, problem=problem)
    return {name: bare, **{facet.metric: facet for facet in facets}}


def _complete(over: Array, under: Array) -> tuple[Array, Array]:
    finite = np.isfinite(over) & np.isfinite(under)
    return over[finite], under[finite]


def _facet(metric_name: str, metric: Metric, all_over: Array, all_under: Array) -> Estimate:
    # Labelled before anything is left out: a sentence keeps its number whatever happens to the others.
    ratios = np.divide(all_over, all_under, out=np.full(len(all_over), math.nan), where=all_under > 0)
    over, under = _complete(all_over, all_under)
    return Estimate(
        metric=metric_name,
        value=float(over.sum() / under.sum()) if under.sum() else math.nan,
        interval=ratio_interval(over, under, LEVEL),
        unit=metric.unit,
        better=metric.better,
        n=len(over),
        clusters=len(over),
        missing=len(all_over) - len(over),
        cluster_values={f"sentence {number:03}": float(ratio) for number, ratio in enumerate(ratios, start=1)},
    )


def _problem(missing: int, asked: int, unknown: float) -> str | None:
    if missing > MAX_MISSING * asked:
        return f"{missing} of {asked} sentences could not be counted"
    if unknown > MAX_UNKNOWN:
        return f"{unknown:.0%} of the tokens are unknown (at most {MAX_UNKNOWN:.0%})"
    return None
