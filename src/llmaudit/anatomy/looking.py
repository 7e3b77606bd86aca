"""How a model looks at sentences: where its attention goes, and how alike it represents them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric
from llmaudit.gaps import LEVEL
from llmaudit.stats import t_interval
from llmaudit.stats.association import cosine_similarities
from llmaudit.stats.attention import attention_entropy, first_token_attention, uniform_first_token_attention
from llmaudit.stats.pairs import pair_pseudo_values
from llmaudit.types import Attention, Embedding, Estimate, Sample

__all__ = [
    "SIMILARITY",
    "Array",
    "Gaze",
    "attention_estimates",
    "attention_metrics",
    "gaze_of",
    "similarities",
    "similarity_estimates",
]

Array = NDArray[np.float64]

_ENTROPY, _FIRST = "attention_entropy", "first_token_attention"
_MEASURES: Mapping[str, Metric] = {
    _ENTROPY: Metric(
        "entropy of attention over what is visible, mean over heads and tokens", "share of the largest", "higher"
    ),
    _FIRST: Metric("attention on the first token, mean over heads and tokens", "share of attention", "lower"),
}
#: What is measured of the vectors of sentences.
SIMILARITY: Mapping[str, Metric] = {
    "anisotropy": Metric("mean cosine of the last layer's vectors of two different sentences", "cosine", "lower")
}


@dataclass(frozen=True, slots=True)
class Gaze:
    """What was measured of the attention to every sentence."""

    sentences: tuple[str, ...]
    """Names of the sentences: the clusters."""
    layers: tuple[str, ...]
    places: tuple[int | None, ...]
    """Index of every layer in the model, counted from 0; None where it has no such layer."""
    values: Mapping[str, Array]
    """Metric -> values, shape (sentences, layers); NaN where nothing was told."""
    uniform: float
    """What `first_token_attention` is where all that is visible gets equal parts."""


def gaze_of(samples: Sequence[Sample], layers: Sequence[str], places: Sequence[int | None]) -> Gaze:
    """Measure the answers to Attend, one per sentence."""
    names = tuple(sample.request.cluster for sample in samples)
    values = {name: np.full((len(names), len(layers)), np.nan) for name in _MEASURES}
    uniform: list[float] = []
    for row, sample in enumerate(samples):
        if not isinstance(sample.response, Attention):
            continue
        uniform.append(uniform_first_token_attention(len(sample.response.pieces)))
        weights = dict(zip(sample.response.layers, sample.response.weights, strict=True))
        for column, place in enumerate(places):
            if place in weights:
                values[_ENTROPY][row, column] = attention_entropy(weights[place])
                values[_FIRST][row, column] = first_token_attention(weights[place])
    return Gaze(names, tuple(layers), tuple(places), values, float(np.mean(uniform)) if uniform else math.nan)


def attention_metrics(layers: Sequence[str]) -> dict[str, Metric]:
    """The measures of attention, over the layers named and in each of them."""
    found: dict[str, Metric] = {}
    for bare, metric in _MEASURES.items():
        found[bare] = replace(metric, description=f"{metric.description}; mean over the layers named")
        found |= {f"{bare}.{layer}": metric for layer in layers}
    return found


def attention_estimates(gaze: Gaze) -> dict[str, Estimate]:
    """Estimate the measures of attention; the bare name is the mean over the layers, and no worst of them."""
    found: dict[str, Estimate] = {}
    for bare, metric in _MEASURES.items():
        table = gaze.values[bare]
        unknown = [layer for layer, place in zip(gaze.layers, gaze.places, strict=True) if place is None]
        known = [place is not None for place in gaze.places]
        details = {"if looked at in equal parts": gaze.uniform} if bare == _FIRST else {}
        rows = table[:, known].mean(axis=1) if any(known) else np.full(len(table), np.nan)
        found[bare] = _mean(bare, metric, gaze.sentences, rows, _no_layer(unknown), details)
        for column, layer in enumerate(gaze.layers):
            name, missing = f"{bare}.{layer}", [layer] if layer in unknown else []
            found[name] = _mean(name, metric, gaze.sentences, table[:, column], _no_layer(missing), details)
    return found


def similarities(samples: Sequence[Sample]) -> Array:
    """Cosines of all pairs of sentences, shape (n, n); NaN for those without a vector."""
    vectors = [sample.response.vector if isinstance(sample.response, Embedding) else () for sample in samples]
    table = np.full((len(vectors), 1, max(map(len, vectors), default=0) or 1), np.nan)
    for row, vector in enumerate(vectors):
        table[row, 0, : len(vector)] = vector
    return cosine_similarities(table)


def similarity_estimates(samples: Sequence[Sample], values: Array) -> dict[str, Estimate]:
    """Estimate how alike two sentences are to the model; the sentence is the unit, by the jackknife."""
    names = tuple(sample.request.cluster for sample in samples)
    lost = int(np.isnan(np.diag(values)).sum())
    each = pair_pseudo_values(values) if len(values) >= 3 and not lost else np.full(len(values), np.nan)
    problem = f"{lost} of {len(names)} sentences have no vector" if lost else None
    return {name: _mean(name, metric, names, each, problem, {}) for name, metric in SIMILARITY.items()}


def _mean(
    name: str,
    metric: Metric,
    sentences: Sequence[str],
    values: Array,
    problem: str | None,
    details: Mapping[str, float],
) -> Estimate:
    """A mean over sentences."""
    kept = values[np.isfinite(values)]
    lost = len(values) - len(kept)
    why = problem or (f"of {lost} of {len(values)} sentences nothing could be measured" if lost else None)
    return Estimate(
        metric=name,
        value=float(kept.mean()) if kept.size else math.nan,
        interval=t_interval(kept, LEVEL),
        unit=metric.unit,
        better=metric.better,
        n=int(kept.size),
        clusters=int(kept.size),
        missing=lost,
        problem=why or (None if kept.size else "nothing could be measured"),
        cluster_values=dict(zip(sentences, map(float, values), strict=True)),
        details=details,
    )


def _no_layer(layers: Sequence[str]) -> str | None:
    return f"the model has no layer {', '.join(layers)}" if layers else None
