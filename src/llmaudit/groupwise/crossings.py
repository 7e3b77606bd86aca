"""Groups that are the cells of crossed axes: differences along an axis, and what the axes do together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product

from llmaudit.audit import Metric, Table
from llmaudit.gaps import Cells, Contrast, Scored, contrast_estimates
from llmaudit.types import Estimate

__all__ = ["along", "crossing_estimates", "crossing_metrics", "crossing_table", "interactions"]

#: Axis -> its levels. The cells are numbered as itertools.product numbers them, the last axis fastest.
Levels = Mapping[str, Sequence[str]]


def along(axes: Levels, axis: str) -> list[Contrast]:
    """Return the difference of every two levels of an axis, the cells of the other axes averaged."""
    return [
        Contrast(f"{a}-{b}", *_weights([(_cells(axes, {axis: a}), 1.0), (_cells(axes, {axis: b}), -1.0)]))
        for a, b in combinations(axes[axis], 2)
    ]


def interactions(axes: Levels) -> list[Contrast]:
    """Return the differences of differences: how far the gap between two levels of an axis hangs on another axis.

    For levels a, b of one axis and c, d of another it is (ac - bc) - (ad - bd), the cells of further axes averaged: 0
    where the effects of the axes add up.
    """
    found: list[Contrast] = []
    for one, other in combinations(axes, 2):
        for (a, b), (c, d) in product(combinations(axes[one], 2), combinations(axes[other], 2)):
            signed = [
                (_cells(axes, {one: first, other: second}), sign)
                for first, second, sign in ((a, c, 1.0), (b, c, -1.0), (a, d, -1.0), (b, d, 1.0))
            ]
            # Axes may share the names of their levels.
            found.append(Contrast(f"{one} {a}-{b} x {other} {c}-{d}", *_weights(signed)))
    return found


def crossing_metrics(scorer: str, unit: str, axes: Levels) -> dict[str, Metric]:
    """What is measured of one scorer along axes."""
    along_any = f"largest difference of mean {scorer} along an axis, the others averaged, within templates"
    found = {f"{scorer}_gap_along": Metric(along_any, unit, "lower")}
    for axis in axes:
        what = f"largest difference of mean {scorer} along {axis}, the others averaged, within templates"
        found[f"{scorer}_gap_along.{axis}"] = Metric(what, unit, "lower")
    what = f"largest difference of differences of mean {scorer}: what the axes do together beyond their sum"
    found[f"{scorer}_interaction"] = Metric(what, unit, "lower")
    return found


def crossing_estimates(
    scorer: str, scored: Scored, cells: Cells, axes: Levels, *, seed: int, details: Mapping[str, float]
) -> dict[str, Estimate]:
    """Estimate what `crossing_metrics` names, and behind it every signed difference under `METRIC.facet` of its own.

    An average over the other axes takes clusters in which all its cells have a number.
    """
    every = {axis: along(axes, axis) for axis in axes}
    found: dict[str, Estimate] = {}
    for axis, contrasts in every.items():
        named = replace(scored, name=f"{scorer}_gap_along.{axis}")
        found |= contrast_estimates(named, cells, contrasts, seed=seed, details=details)
    bare = replace(scored, name=f"{scorer}_gap_along")
    pooled = [contrast for contrasts in every.values() for contrast in contrasts]
    found[bare.name] = contrast_estimates(bare, cells, pooled, seed=seed, details=details)[bare.name]
    together = replace(scored, name=f"{scorer}_interaction")
    return found | contrast_estimates(together, cells, interactions(axes), seed=seed, details=details)


def crossing_table(scorers: Iterable[str], found: Mapping[str, Estimate], axes: Levels) -> Table:
    """Return every signed difference behind the metrics, out of the estimates of `crossing_estimates`."""
    rows: list[tuple[str | float | int | None, ...]] = []
    for scorer in scorers:
        shown = [(f"{scorer}_gap_along.{axis}", axis, contrast) for axis in axes for contrast in along(axes, axis)]
        shown += [(f"{scorer}_interaction", "interaction", contrast) for contrast in interactions(axes)]
        for metric, what, contrast in shown:
            estimate = found[f"{metric}.{contrast.name}"]
            bounds = (estimate.interval.low, estimate.interval.high) if estimate.interval else (None, None)
            rows.append((scorer, f"{what}: {contrast.name}", estimate.value, *bounds, estimate.p_value))
    note = "Within templates. An interaction is a difference of differences; at 0 the effects of two axes add up."
    columns = ("scorer", "difference", "value", "low", "high", "p")
    return Table("Along the axes, and where they cross", columns, tuple(rows), note)


def _cells(axes: Levels, fixed: Mapping[str, str]) -> list[int]:
    """Indices of the cells that have these levels."""
    places = [list(axes).index(axis) for axis in fixed]
    return [
        number
        for number, cell in enumerate(product(*axes.values()))
        if [cell[place] for place in places] == list(fixed.values())
    ]


def _weights(signed: Sequence[tuple[Sequence[int], float]]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    weights = {cell: sign / len(cells) for cells, sign in signed for cell in cells}
    return tuple(weights), tuple(weights.values())
