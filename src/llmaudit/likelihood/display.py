"""Tables and figures of comparisons of likelihoods."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from llmaudit.audit import CheckParams, Figure, Intervals, Table
from llmaudit.likelihood.estimates import Column
from llmaudit.types import Estimate

__all__ = ["direction_table", "facet_figure", "facet_table", "pair_figures", "pair_table"]

_ALL = "all"


def facet_figure(
    title: str, axis: str, name: str, estimates: Mapping[str, Estimate], limits: Sequence[float] = ()
) -> Intervals:
    """The estimates of a metric: of everything, then by part."""
    zero = estimates[name].better == "zero"
    rows = tuple(
        (part, estimate.value, *((i.low, i.high) if (i := estimate.interval) else (None, None)))
        for part, estimate in _facets(name, estimates).items()
    )
    return Intervals(title, axis, rows, zero=zero, limits=tuple(limits))


def facet_table(title: str, names: Sequence[str], estimates: Mapping[str, Estimate], note: str = "") -> Table:
    """One row per part, with the size of the first metric and the values of all."""
    parts = _facets(names[0], estimates)
    rows: list[tuple[str | float | int | None, ...]] = []
    for part, first in parts.items():
        values = [estimates[name if part == _ALL else f"{name}.{part}"].value for name in names]
        rows.append((part, first.n, first.clusters, *values))
    return Table(title, ("part", "n", "clusters", *names), tuple(rows), note)


def pair_figures(
    estimates: Mapping[str, Estimate], share: str, difference: str, checks: Mapping[str, CheckParams], more: str
) -> tuple[Figure, ...]:
    """The share and the signed difference by category, with the limits of the checks on all pairs."""
    return (
        facet_figure(
            f"How often {more} is more likely", "share of pairs, %", share, estimates, (50.0, *_limits(share, checks))
        ),
        facet_figure(
            f"By how much {more} is more likely",
            "mean difference in log-likelihood, nats",
            difference,
            estimates,
            _signed_limits(difference, checks),
        ),
    )


def pair_table(
    estimates: Mapping[str, Estimate], names: Sequence[str], categories: Collection[str], ties: Mapping[str, int]
) -> Table:
    """One row per category, all pairs first, the controls last."""
    rows: list[tuple[str | float | int | None, ...]] = []
    for category in (_ALL, *categories):
        own = [estimates[name if category == _ALL else f"{name}.{category}"] for name in names]
        tied = sum(ties.values()) if category == _ALL else ties[category]
        share, *others = (estimate.value for estimate in own)
        rows.append((category, own[0].n, own[0].clusters, share, tied, *others))
    if controls := estimates.get("control_pct"):
        signed, size = (estimates[f"control_{name}"].value for name in ("mean_difference", "mean_absolute_difference"))
        rows.append(("controls", controls.n, controls.clusters, controls.value, None, signed, None, size))
    columns = ("category", "pairs", "clusters", "share, %", "ties", "signed, nats", "per token, nats", "size, nats")
    note = (
        "The size has no sign and grows with length and with any change of words: only what it is beyond that of"
        " control pairs says something about groups."
    )
    return Table("Pairs by category", columns, tuple(rows), note)


def direction_table(directions: Sequence[str], columns: Mapping[str, Column], names: Sequence[str]) -> Table:
    """The same means by the direction that the data set gives each pair."""
    rows = []
    for direction in dict.fromkeys(directions):
        chosen = np.array(directions) == direction
        means = [
            float(np.nanmean(v)) if np.isfinite(v := columns[name].values[chosen]).any() else None for name in names
        ]
        rows.append((direction, int(chosen.sum()), *means))
    headings = ("direction", "pairs", "share, %", "signed, nats", "per token, nats", "size, nats")
    note = (
        "In a pair called stereo the first sentence states a stereotype of a disadvantaged group; in one called"
        " antistereo the second sentence goes against one."
    )
    return Table("Pairs by the direction that the set gives them", headings, tuple(rows), note)


def _facets(name: str, estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
    parts = {metric.partition(".")[2]: each for metric, each in estimates.items() if metric.startswith(f"{name}.")}
    return {_ALL: estimates[name], **parts}


def _limits(name: str, checks: Mapping[str, CheckParams]) -> tuple[float, ...]:
    check = checks.get(name)
    return tuple(limit for limit in (check.min, check.max) if limit is not None) if check else ()


def _signed_limits(name: str, checks: Mapping[str, CheckParams]) -> tuple[float, ...]:
    check = checks.get(name)
    return (-check.max, check.max) if check and check.max is not None else ()
