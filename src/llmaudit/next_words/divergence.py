"""Divergence of next-token distributions between groups of names: from answers to estimates, per template."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric
from llmaudit.gaps import LEVEL, MAX_MISSING
from llmaudit.stats import hedges_g_paired, sign_flip, simultaneous_t_intervals, t_interval, worst_of
from llmaudit.stats.divergences import (
    exchange_p,
    jackknife_error,
    jensen_shannon,
    split_distances,
    total_variation,
)
from llmaudit.types import Estimate, NextTokens

__all__ = ["Design", "Reading", "divergence_estimates", "divergence_metrics", "read_template"]

Array = NDArray[np.float64]

_FAMILIES: Mapping[str, Metric] = {
    "jsd_excess": Metric(
        "Jensen-Shannon divergence (base 2) of the next token between names of two groups, minus that between names of"
        " one group",
        "bits",
        "lower",
    ),
    "jsd_between": Metric("Jensen-Shannon divergence (base 2) between names of two groups", "bits", "lower"),
    "jsd_within": Metric("Jensen-Shannon divergence (base 2) between names of one group", "bits", "lower"),
    "tv_excess": Metric(
        "total variation distance of the next token between names of two groups, minus that between names of one group",
        "probability",
        "lower",
    ),
}


@dataclass(frozen=True, slots=True)
class Design:
    """Groups of equally many names."""

    groups: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """All names, group by group."""
        return tuple(name for names in self.groups.values() for name in names)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every pair of groups."""
        return tuple(combinations(self.groups, 2))

    def places(self, *groups: str) -> list[int]:
        """Indices of the names of some groups in `names`."""
        size = len(self.names) // len(self.groups)
        order = list(self.groups)
        return [order.index(group) * size + place for group in groups for place in range(size)]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the answers to one template come to; names are in the order of the design."""

    template: str
    jsd: Array
    """Shape (names, names), in bits; NaN for a name without an answer."""
    tv: Array
    words: Mapping[str, Array]
    """Word that is among the most likely after some name -> its probability after each name, shape (names,)."""

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which names have an answer, shape (names,)."""
        return np.isfinite(np.diagonal(self.jsd))


def read_template(template: str, answers: Sequence[NextTokens | None]) -> Reading:
    """Compare the distributions after each name; None, or an answer without a whole distribution, is missing.

    Probabilities are taken in float64 and add up to 1 exactly, which those of a float32 softmax miss by some 1e-7.
    """
    size = len(answers)
    whole = {place: answer for place, answer in enumerate(answers) if answer is not None and answer.logprobs}
    # A model of low precision may overflow: what it then gives is no distribution.
    known = {place: answer for place, answer in whole.items() if not np.isnan(answer.logprobs).any()}
    jsd, tv = np.full((size, size), np.nan), np.full((size, size), np.nan)
    if not known:
        return Reading(template, jsd, tv, {})
    logprobs = np.array([answer.logprobs for answer in known.values()], dtype=np.float64)
    probabilities = np.exp(logprobs)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    where = np.ix_(list(known), list(known))
    jsd[where], tv[where] = jensen_shannon(probabilities), total_variation(probabilities)
    words: dict[str, Array] = {}
    for row, answer in enumerate(known.values()):
        for word, logprob in answer.top:
            # An answer names its most likely tokens by their text, not by their id: of two with the very same
            # probability neither can be told.
            ids = np.flatnonzero(logprobs[row] == logprob)
            if ids.size == 1 and word not in words:
                words[word] = np.full(size, np.nan)
                words[word][list(known)] = probabilities[:, ids[0]]
    return Reading(template, jsd, tv, words)


def divergence_metrics(design: Design) -> dict[str, Metric]:
    """Every divergence that is estimated, facets included."""
    found: dict[str, Metric] = {}
    for family, metric in _FAMILIES.items():
        worst = "the widest group" if family == "jsd_within" else "the pair of groups furthest apart"
        found[family] = replace(metric, description=f"{metric.description}; {worst}")
        found |= {f"{family}.{facet}": metric for facet in _facets(family, design)}
    return found


def divergence_estimates(readings: Sequence[Reading], design: Design, *, seed: int) -> dict[str, Estimate]:
    """Estimate every divergence, the template being the unit.

    p of an excess is one-sided, and the larger of two: over templates (sign flips) and over names (dealt out to the
    groups anew), since what is found must hold for other templates AND for other names (Clark 1973, Journal of Verbal
    Learning and Verbal Behavior 12). The interval is over templates, for these names; `details` has the standard error
    over names beside it.
    """
    found: dict[str, Estimate] = {}
    for family, metric in _FAMILIES.items():
        facets = [
            _facet(f"{family}.{facet}", metric, readings, values, places)
            for facet, places, values in _columns(family, readings, design)
        ]
        if family.endswith("_excess"):
            distances = _distances(family, readings)
            facets = [
                _compared(facet, distances, design.places(*pair), seed=seed)
                for facet, pair in zip(facets, design.pairs, strict=True)
            ]
        found[family] = _worst(family, facets)
        found |= {facet.metric: facet for facet in facets}
    return found


def _facets(family: str, design: Design) -> list[str]:
    return list(design.groups) if family == "jsd_within" else [f"{a}-{b}" for a, b in design.pairs]


def _distances(family: str, readings: Sequence[Reading]) -> Array:
    """Shape (templates, names, names)."""
    return np.array([reading.tv if family.startswith("tv") else reading.jsd for reading in readings])


def _columns(family: str, readings: Sequence[Reading], design: Design) -> Iterator[tuple[str, list[int], Array]]:
    """Yield (facet, indices of its names, one value per template)."""
    distances = _distances(family, readings)
    if family == "jsd_within":
        for group in design.groups:
            places = design.places(group)
            inside = distances[:, places][:, :, places].sum(axis=(1, 2)) / (len(places) * (len(places) - 1))
            yield group, places, inside
        return
    for a, b in design.pairs:
        places = design.places(a, b)
        split = split_distances(distances[:, places][:, :, places])
        yield f"{a}-{b}", places, split.between if family == "jsd_between" else split.excess


def _facet(name: str, metric: Metric, readings: Sequence[Reading], values: Array, places: list[int]) -> Estimate:
    kept = values[np.isfinite(values)]
    answered = int(sum(reading.answered[places].sum() for reading in readings))
    lost = 1 - kept.size / len(readings)
    return Estimate(
        metric=name,
        value=float(kept.mean()) if kept.size else math.nan,
        interval=t_interval(kept, LEVEL),
        unit=metric.unit,
        better=metric.better,
        n=answered,
        clusters=int(kept.size),
        missing=len(readings) * len(places) - answered,
        problem=_problem(lost),
        cluster_values={reading.template: float(v) for reading, v in zip(readings, values, strict=True)},
        details={"sd between templates": float(kept.std(ddof=1))} if kept.size > 1 else {},
    )


def _problem(lost: float) -> str | None:
    if lost == 1:
        return "there are no whole distributions to compare"
    if lost > MAX_MISSING:
        return f"{lost:.0%} of the templates have a name without an answer (at most {MAX_MISSING:.0%})"
    return None


def _compared(facet: Estimate, distances: Array, places: list[int], *, seed: int) -> Estimate:
    """Add the two tests of an excess and its standard error over names."""
    values = np.array(list(facet.cluster_values.values()))
    complete = np.isfinite(values)
    if not complete.any():
        return facet
    mean = distances[complete][:, places][:, :, places].mean(axis=0)
    over_templates = sign_flip(values[complete], seed, alternative="greater")
    over_names = exchange_p(mean, seed)
    details = {
        **facet.details,
        "p over templates": over_templates,
        "p over names": over_names,
        "standard error over names": jackknife_error(mean),
    }
    effect_size = hedges_g_paired(values[complete])
    return replace(facet, p_value=max(over_templates, over_names), effect_size=effect_size, details=details)


def _worst(name: str, facets: Sequence[Estimate]) -> Estimate:
    columns = [[v for v in facet.cluster_values.values() if math.isfinite(v)] for facet in facets]
    values = [facet.value for facet in facets]
    worst = worst_of(simultaneous_t_intervals(columns, LEVEL), values, "lower")
    known = [facet.p_value for facet in facets if facet.p_value is not None]
    facet = facets[worst.facet]
    return replace(
        facet,
        metric=name,
        value=worst.value,
        interval=worst.interval,
        # Bonferroni, as the intervals: the pair was picked after the data were seen.
        p_value=min(1.0, len(facets) * min(known)) if known else None,
        clusters=min(facet.clusters for facet in facets),
        problem=next((other.problem for other in facets if other.problem), None),
    )
