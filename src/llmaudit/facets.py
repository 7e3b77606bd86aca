"""From facets of a metric, one per variant, to estimates: each on its own interval, the worst on simultaneous ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric
from llmaudit.gaps import LEVEL, proportion_interval
from llmaudit.stats import clopper_pearson, ratio_interval, simultaneous_ratio_intervals, t_interval, worst_of
from llmaudit.types import Estimate, Interval

__all__ = [
    "Facet",
    "absent",
    "declared",
    "exact",
    "faceted",
    "joint_level",
    "mean",
    "once",
    "proportion",
    "ratio",
    "together",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Facet:
    """A metric of one variant."""

    value: float
    n: int
    clusters: int
    own: Interval | None = None
    """Of this variant by itself."""
    joint: Interval | None = None
    """Such that those of all variants hold together."""
    missing: int = 0
    p_value: float | None = None
    effect_size: float | None = None
    problem: str | None = None
    cluster_values: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, float] = field(default_factory=dict)


def declared(name: str, metric: Metric, variants: list[str], *also: str) -> dict[str, Metric]:
    """The metric of the worst variant, of each of them, and of what else is named."""
    worst = replace(metric, description=f"{metric.description}; the worst variant")
    worst = replace(worst, better="lower") if metric.better == "zero" else worst
    return {name: worst, **{f"{name}.{facet}": metric for facet in (*variants, *also)}}


def faceted(
    name: str, metric: Metric, variants: Mapping[str, Facet], also: Mapping[str, Facet] | None = None
) -> dict[str, Estimate]:
    """One estimate per facet, and under the bare name the worst variant; `also` are facets that are none."""
    facets = {**variants, **(also or {})}
    found = {f"{name}.{facet}": _estimate(f"{name}.{facet}", metric, each) for facet, each in facets.items()}
    worst = worst_of(
        [each.joint for each in variants.values()], [each.value for each in variants.values()], metric.better
    )
    facet = found[f"{name}.{list(variants)[worst.facet]}"]
    # A variant that cannot be judged may be the worst one.
    problem = next((f"{other}: {each.problem}" for other, each in variants.items() if each.problem), None)
    bare = replace(
        facet,
        metric=name,
        value=worst.value,
        interval=worst.interval,
        better="lower" if metric.better == "zero" else metric.better,
        problem=problem,
    )
    return {name: bare, **found}


def _estimate(name: str, metric: Metric, facet: Facet) -> Estimate:
    return Estimate(
        metric=name,
        value=facet.value,
        interval=facet.own,
        unit=metric.unit,
        better=metric.better,
        n=facet.n,
        clusters=facet.clusters,
        missing=facet.missing,
        deterministic=metric.deterministic,
        p_value=facet.p_value,
        effect_size=facet.effect_size,
        problem=facet.problem,
        cluster_values=facet.cluster_values,
        details=facet.details,
    )


def joint_level(variants: int) -> float:
    """Coverage that each of so many intervals needs for all of them to hold together (Bonferroni)."""
    return 1 - (1 - LEVEL) / variants


def absent(reason: str) -> Facet:
    """A variant that there is no number of."""
    return Facet(math.nan, 0, 0, problem=reason)


def exact(value: float, n: int, details: Mapping[str, float] | None = None) -> Facet:
    """A number that is exact for these stimuli, or for these weights."""
    return Facet(value, n, n, details=details or {})


def once(value: float, problem: str) -> Facet:
    """A number that was measured once, and says nothing of how it varies."""
    return Facet(value, 1, 1, problem=problem)


def ratio(
    over: Array,
    under: Array,
    variants: int,
    transform: Callable[[float], float] | None = None,
    *,
    share: bool = False,
) -> Facet:
    """A sum over clusters over another sum, in the unit that a rising `transform` gives it.

    A `share` of 0 or 1 in every cluster gives an exact binomial interval over what is counted: an interval of no width
    would say that the share can be nothing else.
    """
    value = float(over.sum() / under.sum())
    own = joint = ratio_interval(over, under, LEVEL)
    if variants > 1:  # Fieller at every number of clusters, as simultaneous_ratio_intervals says
        (joint,) = simultaneous_ratio_intervals([over], [under], joint_level(variants))
        joint = joint and replace(joint, method="Fieller on cluster sums")
    if share and value in {0.0, 1.0}:
        counted = (round(float(over.sum())), round(float(under.sum())))
        own, joint = clopper_pearson(*counted, LEVEL), clopper_pearson(*counted, joint_level(variants))
    convert = transform or _same
    own, joint = (_converted(interval, convert, share=share) for interval in (own, joint))
    return Facet(convert(value), int(under.sum()), len(under), own, together(joint, variants))


def mean(values: Array, variants: int) -> Facet:
    """A mean over clusters, by the t interval."""
    value = float(values.mean()) if values.size else math.nan
    own, joint = t_interval(values, LEVEL), t_interval(values, joint_level(variants))
    return Facet(value, values.size, values.size, own, together(joint, variants))


def proportion(values: Array, n: int, variants: int) -> Facet:
    """A mean over clusters of a proportion in [0, 1]; `n` is what it is a proportion of."""
    value = float(values.mean()) if values.size else math.nan
    own, joint = (
        _converted(proportion_interval(values, level), _same, share=True) for level in (LEVEL, joint_level(variants))
    )
    return Facet(value, n, values.size, own, together(joint, variants))


def together(interval: Interval | None, variants: int) -> Interval | None:
    """Say of an interval at the joint level what it is: one of several that hold together."""
    if interval is None or variants == 1:
        return interval
    return replace(interval, level=LEVEL, method=f"simultaneous {interval.method} (Bonferroni over {variants})")


def _converted(interval: Interval | None, convert: Callable[[float], float], *, share: bool) -> Interval | None:
    if interval is None:
        return None
    low, high = convert(interval.low), convert(interval.high)
    return replace(interval, low=max(0.0, low), high=min(1.0, high)) if share else replace(interval, low=low, high=high)


def _same(value: float) -> float:
    return value
