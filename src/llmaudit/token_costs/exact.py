"""What is exact for the stimuli: counts of a text, words of a list, facts of a tokenizer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from llmaudit.audit import Metric
from llmaudit.token_costs.counts import Array, Counts
from llmaudit.token_costs.metrics import EXACT, FACTS, WORDS
from llmaudit.types import Estimate, Factor, Sample, Tokens

__all__ = ["exact_estimates", "fact_estimates", "word_estimates"]

_NO_DECODING = "the tokenizer cannot decode: there is no round trip"


def exact_estimates(counts: Mapping[str, Counts]) -> dict[str, Estimate]:
    """Counts over all passages by language, and under each bare name the worst language."""
    estimates: dict[str, Estimate] = {}
    for name, metric in EXACT.items():
        facets = [_exact(f"{name}.{language}", metric, of) for language, of in counts.items()]
        estimates |= {name: _worst(name, facets)} | {facet.metric: facet for facet in facets}
    return estimates


def word_estimates(samples: Sequence[Sample]) -> dict[str, Estimate]:
    """The single-token rate and the mean length of the words of a list."""
    lengths = np.array([len(s.response.ids) for s in samples if isinstance(s.response, Tokens)], dtype=np.float64)
    values = {
        "single_token_rate": float((lengths == 1).mean()) if lengths.size else math.nan,
        "tokens_per_word": float(lengths.mean()) if lengths.size else math.nan,
    }
    return {
        name: _of(name, values[name], metric, len(samples), lengths.size, "words") for name, metric in WORDS.items()
    }


def fact_estimates(facts: Mapping[str, Factor]) -> dict[str, Estimate]:
    """Facts of the tokenizer, NaN where the engine does not tell them."""
    found = {}
    for name, metric in FACTS.items():
        value = facts.get(name)
        number = float(value) if isinstance(value, int | float) else math.nan
        found[name] = Estimate(name, number, None, metric.unit, metric.better, 1, 1, deterministic=True)
    return found


def _exact(name: str, metric: Metric, counts: Counts) -> Estimate:
    """A count over all passages; of what could not be tokenized there is none."""
    tokens = counts["tokens"]
    asked, used = len(tokens), int(np.isfinite(tokens).sum())
    column = {"round_trip_failures": "broken", "nfc_round_trip_failures": "broken_nfc"}.get(name.partition(".")[0])
    if column and used and np.isnan(counts[column][np.isfinite(tokens)]).any():
        found = _of(name, math.nan, metric, asked, used, "texts")
        return replace(found, problem=_NO_DECODING)
    total = float(np.nansum(tokens))
    sums = {"tokens": total, "unknown_share": float(np.nansum(counts["unknown"])) / (total or 1.0)}
    value = _sum(counts[column]) if column else sums[name.partition(".")[0]]
    return _of(name, value if used else math.nan, metric, asked, used, "texts")


def _sum(counts: Array) -> float:
    return float(np.nansum(counts))


def _worst(name: str, facets: Sequence[Estimate]) -> Estimate:
    worst = max(facets, key=lambda facet: -math.inf if math.isnan(facet.value) else facet.value)
    problem = next((f"{facet.metric}: {facet.problem}" for facet in facets if facet.problem), None)
    return replace(worst, metric=name, problem=problem)


def _of(name: str, value: float, metric: Metric, asked: int, used: int, noun: str) -> Estimate:
    lost = asked - used
    problem = f"{lost} of {asked} {noun} could not be tokenized" if lost else None
    return Estimate(
        name, value, None, metric.unit, metric.better, used, used, lost, deterministic=True, problem=problem
    )
