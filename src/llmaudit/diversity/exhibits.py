"""Figures and tables of diversity: over the levels, and against what is lost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from llmaudit.diversity.levels import Measure, Measured
from llmaudit.exhibits import Curve, Curves, Panel, Table
from llmaudit.stats import holm
from llmaudit.types import Estimate

__all__ = ["answers_table", "changes_table", "frontier", "level_curves", "levels_table"]

Estimates = Mapping[str, Estimate]
#: Measures that are drawn over the levels: one of each family.
_DRAWN = ("vendi", "vendi_semantic", "distinct_2", "self_bleu", "log_perplexity")


def answers_table(measured: Sequence[Measured], failed: Mapping[str, int], left_out: int) -> Table:
    """What there is to compare at each level: read first. `failed`: level -> answers that are missing."""
    first = measured[0]
    rows = tuple(
        (level, first.asked, failed[level], *(_mean(each, level) for each in measured))
        for level in (*first.levels, *first.apart)
    )
    note = (
        f"Read this first: {left_out} of {len(first.prompts)} prompts have too few or too short answers at some level,"
        " and are left out of what is compared. A short answer ended before the length that answers are cut to."
    )
    columns = ("level", "answers", "missing", *(each.measure.name for each in measured))
    return Table("Missing, empty and short answers", columns, rows, note, first=True)


def levels_table(title: str, measures: Sequence[Measure], levels: Sequence[str], estimates: Estimates) -> Table:
    """Means over prompts, levels down and measures across."""
    rows = tuple(
        (level, *(_number(estimates[f"{measure.name}.{level}"].value) for measure in measures)) for level in levels
    )
    note = "Means over prompts. " + "; ".join(
        f"{measure.name}: {measure.description} ({measure.unit})" for measure in measures
    )
    return Table(title, ("level", *(measure.name for measure in measures)), rows, note + ".")


def changes_table(estimates: Estimates) -> Table:
    """Every change between levels, with its p-value adjusted over all of them."""
    changes = {name: found for name, found in estimates.items() if "_change." in name}
    adjusted = holm({name: found.p_value for name, found in changes.items()})
    rows = tuple(
        (
            name.partition("_change.")[0],
            name.partition("_change.")[2],
            _number(found.value),
            found.interval.low if found.interval else None,
            found.interval.high if found.interval else None,
            found.p_value,
            _number(adjusted[name]),
        )
        for name, found in changes.items()
    )
    columns = ("measure", "levels", "change", "low", "high", "p", "p adjusted")
    note = "Within prompts, later level minus earlier. p by sign-flip; adjusted by Holm over the rows of this table."
    return Table("Changes between levels", columns, rows, note)


def level_curves(measures: Sequence[Measure], levels: Sequence[str], estimates: Estimates, axis: str) -> Curves:
    """The drawn measures over the levels, one panel each."""
    panels = tuple(
        Panel(
            f"{measure.name.replace('_', ' ')}, {measure.unit}",
            (
                Curve(
                    measure.name,
                    tuple(_point(float(level), estimates[f"{measure.name}.{level}"]) for level in levels),
                ),
            ),
        )
        for measure in measures
        if measure.name in _DRAWN
    )
    return Curves("Diversity and its cost over the levels", axis, panels)


def frontier(
    measures: Sequence[Measure], levels: Sequence[str], apart: Sequence[str], estimates: Estimates
) -> Curves | None:
    """Diversity against log-perplexity, a labelled point per level; None where neither is known anywhere."""
    panels = []
    for measure in measures:
        if measure.name in {"vendi", "vendi_semantic"}:
            curves = [_against_cost(measure, levels, estimates, "levels")]
            curves += [_against_cost(measure, apart, estimates, "matched entropy")] if apart else []
            panels.append(Panel(f"{measure.name.replace('_', ' ')}, {measure.unit}", tuple(curves)))
    if not any(curve.points for panel in panels for curve in panel.curves):
        return None
    return Curves("Diversity against coherence", "log-perplexity at temperature 1, nats/token", tuple(panels))


def _against_cost(measure: Measure, levels: Sequence[str], estimates: Estimates, name: str) -> Curve:
    costs = {level: estimates[f"log_perplexity.{level}"].value for level in levels}
    known = [level for level in levels if math.isfinite(costs[level])]
    points = tuple(_point(costs[level], estimates[f"{measure.name}.{level}"]) for level in known)
    return Curve(name, points, tuple(known))


def _point(at: float, estimate: Estimate) -> tuple[float, float | None, float | None, float | None]:
    interval = estimate.interval
    low, high = (interval.low, interval.high) if interval else (None, None)
    return at, _number(estimate.value), low, high


def _mean(measured: Measured, level: str) -> float | None:
    values = [value for value in measured.column(level).tolist() if math.isfinite(value)]
    return sum(values) / len(values) if values else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
