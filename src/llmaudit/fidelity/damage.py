"""What variants make of the documents: divergence from the reference and perplexity, with the document as the unit.

Formulas: docs/statistics.md section 1.5. Means over tokens are ratios of sums over documents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric
from llmaudit.engines.comparing import Positions
from llmaudit.facets import Facet, absent, declared, exact, faceted, joint_level, ratio, together
from llmaudit.fidelity.windows import Reading
from llmaudit.gaps import LEVEL
from llmaudit.stats import (
    MIN_BOOTSTRAP_CLUSTERS,
    cluster_quantile_intervals,
    hedges_g_paired,
    pooled_quantile,
    quantile_needs,
    sign_flip,
)
from llmaudit.types import Estimate

__all__ = ["QUANTILES", "Damage", "damage_estimates", "damage_metrics"]

Array = NDArray[np.float64]

QUANTILES: Mapping[str, float] = {"kl_median": 0.5, "kl_p90": 0.9, "kl_p99": 0.99, "kl_p999": 0.999}

_KL = "Kullback-Leibler divergence of the variant's next-token distribution from the reference's"
_METRICS: Mapping[str, Metric] = {
    "kl_mean": Metric(f"{_KL}, mean over tokens", "nats", "lower"),
    **{
        name: Metric(f"{_KL}, {100 * share:g}th percentile over tokens", "nats", "lower")
        for name, share in QUANTILES.items()
    },
    "kl_max": Metric(f"{_KL}, the largest of these texts", "nats", "lower", deterministic=True),
    "top1_agreement": Metric("share of tokens at which both find the same token most likely", "proportion", "higher"),
    "top5_agreement": Metric(
        "share of the reference's five most likely tokens that are among the variant's five", "proportion", "higher"
    ),
    "probability_change": Metric("mean change of the probability of the token that comes", "probability", "zero"),
    "probability_change_rms": Metric(
        "root mean square change of the probability of the token that comes", "probability", "lower"
    ),
    "log_perplexity_ratio": Metric("ln(perplexity of the variant / perplexity of the reference)", "nats", "zero"),
}
#: What the reference has too: (description, unit).
_PERPLEXITIES: Mapping[str, Metric] = {
    "perplexity": Metric("perplexity per token of this tokenizer", "perplexity", "lower"),
    "bits_per_byte": Metric("bits per byte of UTF-8 of the texts", "bits", "lower"),
    "word_perplexity": Metric(
        r"perplexity per white-space word, as lm-eval counts them: len(re.split(r'\s+', text))", "perplexity", "lower"
    ),
}


@dataclass(frozen=True, slots=True)
class Damage:
    """What a variant makes of every scored token; arrays of shape (tokens,), in the order of the spans."""

    kl: Array
    reference_nll: Array
    nll: Array
    same_top: Array
    shared_top: Array
    places: NDArray[np.int64]
    """Index of the cluster of every token."""
    clipped: int

    @classmethod
    def of(cls, positions: Sequence[Positions], places: Sequence[int]) -> Damage:
        """Join what was found span by span."""
        names = ("kl", "reference_nll", "nll", "same_top", "shared_top")
        joined = {name: np.concatenate([getattr(each, name) for each in positions]) for name in names}
        lengths = [len(each.kl) for each in positions]
        clipped = sum(each.clipped for each in positions)
        return cls(**joined, places=np.repeat(places, lengths), clipped=clipped)

    @property
    def probability_change(self) -> Array:
        """Change of the probability of the token that comes."""
        return np.asarray(np.exp(-self.nll) - np.exp(-self.reference_nll))


def damage_metrics(variants: list[str]) -> dict[str, Metric]:
    """Every metric of the documents."""
    found: dict[str, Metric] = {}
    for name, metric in _METRICS.items():
        found |= declared(name, metric, variants)
    for name, metric in _PERPLEXITIES.items():
        found |= declared(name, metric, variants, "reference")
    return found


def damage_estimates(damages: Mapping[str, Damage | str], reading: Reading, seed: int) -> dict[str, Estimate]:
    """Estimate every metric; a variant that there is none of is a reason instead."""
    tables = {
        name: each if isinstance(each, str) else _facets(each, reading, len(damages), seed)
        for name, each in damages.items()
    }
    found: dict[str, Estimate] = {}
    for name, metric in {**_METRICS, **_PERPLEXITIES}.items():
        facets = {variant: absent(each) if isinstance(each, str) else each[name] for variant, each in tables.items()}
        also = {}
        if name in _PERPLEXITIES:
            read = next((each for each in damages.values() if isinstance(each, Damage)), None)
            reason = "no variant could be had, so that nothing was read"
            also = {
                "reference": absent(reason)
                if read is None
                else _perplexities(read.reference_nll, read, reading, 1)[name]
            }
        found |= faceted(name, metric, facets, also)
    return found


def _facets(damage: Damage, reading: Reading, variants: int, seed: int) -> dict[str, Facet]:
    tokens = _sums(np.ones(len(damage.kl)), damage, reading)

    def per_token(values: Array, transform: Callable[[float], float] | None = None, *, share: bool = False) -> Facet:
        over = _sums(values, damage, reading)
        found = ratio(over, tokens, variants, transform, share=share)
        return replace(found, cluster_values=_labelled(over / tokens, reading, transform))

    change = damage.nll - damage.reference_nll
    means = _sums(change, damage, reading) / tokens
    return {
        "kl_mean": replace(per_token(damage.kl), details={"clipped at 0": float(damage.clipped)}),
        **_quantiles(damage, reading, variants, seed),
        "kl_max": exact(float(damage.kl.max()), len(damage.kl)),
        "top1_agreement": per_token(damage.same_top, share=True),
        "top5_agreement": per_token(damage.shared_top, share=True),
        "probability_change": per_token(damage.probability_change),
        "probability_change_rms": per_token(damage.probability_change**2, _root),
        "log_perplexity_ratio": replace(
            per_token(change), p_value=sign_flip(means, seed), effect_size=hedges_g_paired(means)
        ),
        **_perplexities(damage.nll, damage, reading, variants),
    }


def _perplexities(nll: Array, damage: Damage, reading: Reading, variants: int) -> dict[str, Facet]:
    nats, tokens = _sums(nll, damage, reading), _sums(np.ones(len(nll)), damage, reading)
    under = {"perplexity": tokens, "bits_per_byte": reading.bytes, "word_perplexity": reading.words}
    found: dict[str, Facet] = {}
    for name, sizes in under.items():
        convert = _bits if name == "bits_per_byte" else math.exp
        facet = ratio(nats, sizes, variants, convert)
        labels = _labelled(nats / sizes, reading, convert)
        found[name] = replace(facet, n=len(nll), cluster_values=labels)
    return found


def _quantiles(damage: Damage, reading: Reading, variants: int, seed: int) -> dict[str, Facet]:
    levels = (LEVEL, joint_level(variants))
    shares = list(QUANTILES.values())
    intervals = cluster_quantile_intervals(damage.kl, damage.places, shares, levels, seed=seed)
    size, clusters = len(damage.kl), len(reading.clusters)
    found: dict[str, Facet] = {}
    for (name, share), (own, wider) in zip(QUANTILES.items(), intervals, strict=True):
        joint, problem = together(wider, variants), None
        if own is None:
            problem = (
                f"{size} tokens: this percentile needs {quantile_needs(share)}"
                if size < quantile_needs(share)
                else f"{clusters} documents: an interval of a percentile needs {MIN_BOOTSTRAP_CLUSTERS}"
            )
        found[name] = Facet(pooled_quantile(damage.kl, share), size, clusters, own, joint, problem=problem)
    return found


def _sums(values: Array, damage: Damage, reading: Reading) -> Array:
    sums: Array = np.bincount(damage.places, values, len(reading.clusters)).astype(np.float64)
    return sums


def _labelled(values: Array, reading: Reading, transform: Callable[[float], float] | None) -> dict[str, float]:
    numbers = values.tolist() if transform is None else [transform(value) for value in values]
    return dict(zip(reading.clusters, numbers, strict=True))


def _root(value: float) -> float:
    return math.sqrt(max(0.0, value))


def _bits(value: float) -> float:
    return value / math.log(2)
