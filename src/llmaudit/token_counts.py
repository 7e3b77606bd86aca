"""Token counts of sentences, and ratios of them with intervals."""

from __future__ import annotations

import math
import re
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

Array = NDArray[np.float64]

_WORD = re.compile(r"\S+")


def count(language: str, samples: Sequence[Sample]) -> dict[str, Array]:
    """Count per sentence, NaN where it could not be tokenized."""
    mine = [sample for sample in samples if sample.request.factors["language"] == language]
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
    words = [match.span() for match in _WORD.finditer(text)]
    inside = [0] * len(words)
    for start in tokens.starts:
        word = next((number for number, (_, end) in enumerate(words) if start < end), None)
        if word is not None:
            inside[word] += 1
    return float(sum(count > 1 for count in inside))


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
    facets = [
        _facet(f"{name}.{language}", metric, *kept[language], lost=len(pairs[language][0]) - len(kept[language][0]))
        for language in pairs
    ]
    facets = [
        replace(facet, problem=_too_much_unknown(unknown[language]))
        for language, facet in zip(pairs, facets, strict=True)
    ]
    overs, unders = zip(*kept.values(), strict=True)
    intervals = simultaneous_ratio_intervals(overs, unders, LEVEL)
    worst = worst_of(intervals, [facet.value for facet in facets], metric.better)
    bare = replace(facets[worst.facet], metric=name, value=worst.value, interval=worst.interval)
    return {name: bare, **{facet.metric: facet for facet in facets}}


def _complete(over: Array, under: Array) -> tuple[Array, Array]:
    finite = np.isfinite(over) & np.isfinite(under)
    return over[finite], under[finite]


def _facet(metric_name: str, metric: Metric, over: Array, under: Array, *, lost: int) -> Estimate:
    ratios = np.divide(over, under, out=np.full(len(over), math.nan), where=under > 0)
    return Estimate(
        metric=metric_name,
        value=float(over.sum() / under.sum()) if under.sum() else math.nan,
        interval=ratio_interval(over, under, LEVEL),
        unit=metric.unit,
        better=metric.better,
        n=len(over),
        clusters=len(over),
        missing=lost,
        cluster_values={f"sentence {number:03}": float(ratio) for number, ratio in enumerate(ratios, start=1)},
    )


def _too_much_unknown(share: float) -> str | None:
    return f"{share:.0%} of the tokens are unknown (at most {MAX_UNKNOWN:.0%})" if share > MAX_UNKNOWN else None
