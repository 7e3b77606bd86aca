"""What the report of an audit of open generation shows beside its estimates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Figure, Intervals, Table
from llmaudit.gaps import Scored, group_means
from llmaudit.groups import GroupParams
from llmaudit.groupwise.answers import Answers
from llmaudit.groupwise.instruments import CONTROLS, Instrument
from llmaudit.groupwise.measures import Design
from llmaudit.types import Estimate, Sample

__all__ = ["evidence_of", "first_table", "gap_figures", "instruments_table", "spread_table"]

Array = NDArray[np.float64]


def first_table(scores: Mapping[str, Array], answers: Answers) -> Table:
    """Return what is missing, refused and empty per group: `scores` holds those of the scorers that were used."""
    cells = answers.cells
    names = [name for name in ("refusal", "empty") if name in scores]
    means = [[_mean(column) for column in cells.means(scores[name]).T] for name in names]
    lost = cells.missing(np.array([math.nan if text is None else 0.0 for text in answers.texts]))
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (group, int((cells.columns == number).sum()), float(lost[number]), *(mean[number] for mean in means))
        for number, group in enumerate(cells.groups)
    )
    note = "Read this first: a group that is refused more often has other answers left to compare."
    return Table("Missing and refused answers", ("group", "answers", "missing", *names), rows, note, first=True)


def instruments_table(instruments: Mapping[str, Instrument], groups: Mapping[str, GroupParams], *, used: bool) -> Table:
    """Return what each scorer that reads the text makes of the names alone, masked and not; `used` says which was."""
    rows: list[tuple[str | float, ...]] = []
    for name, instrument in instruments.items():
        for mask in (True, False) if instrument.scorer.sees_terms else ():
            values = instrument.reactions(groups, mask=mask)
            label = f"{name}, names {'masked' if mask else 'shown'}{', as used' if mask == used else ''}"
            rows.append((label, *values.values(), max(values.values()) - min(values.values())))
    note = f"Mean score of {len(CONTROLS)} neutral sentences that say the same of every group."
    columns = ("scorer", *groups, "range")
    return Table("The scorers' own reaction to the group names", columns, tuple(rows), note)


def spread_table(gaps: Mapping[str, Estimate]) -> Table:
    """Return, of every worst gap, how far it depends on the template and what chance alone gives."""
    rows = tuple(
        (name, estimate.details.get("sd between clusters"), estimate.details.get("null mean"))
        for name, estimate in gaps.items()
    )
    note = (
        "The standard deviation between templates says how far the answer depends on the wording; the worst gap by"
        " chance is its mean when the group labels are shuffled within templates."
    )
    columns = ("metric", "standard deviation between templates", "worst gap by chance")
    return Table("Spread between templates, and what chance alone gives", columns, rows, note)


def gap_figures(
    scored: Scored, name: str, answers: Answers, estimates: Mapping[str, Estimate], limit: float | None
) -> list[Figure]:
    """Return the means of a scorer by group and their differences, or nothing where every score is the same."""
    finite = scored.values[np.isfinite(scored.values)]
    if not finite.size or np.ptp(finite) == 0:
        return []
    cells = answers.cells
    gaps = []
    for a, b in combinations(cells.groups, 2):
        facet = estimates[f"{scored.name}.{a}-{b}"]
        bounds = (facet.interval.low, facet.interval.high) if facet.interval else (None, None)
        gaps.append((f"{a} - {b}", facet.value, *bounds))
    limits = (-limit, limit) if limit is not None else ()
    return [
        Intervals(f"Mean {name} by group", f"{name}, {scored.unit}", tuple(group_means(scored, cells))),
        Intervals(f"Differences in {name}", f"difference, {scored.unit}", tuple(gaps), zero=True, limits=limits),
    ]


def evidence_of(
    name: str, found: Mapping[str, Estimate], values: Array, samples: Sequence[Sample], design: Design
) -> dict[str, tuple[int, ...]]:
    """Return, for the gaps of a scorer, the indices of the samples that show them best."""
    pairs = {f"{name}_gap.{a}-{b}": (a, b) for a, b in design.pairs}
    # The first of the widest facets, as the bare metric takes it.
    pairs[f"{name}_gap"] = pairs[max(pairs, key=lambda metric: _size(found[metric].value))]
    if design.reference:
        against = {f"{name}_gap_to_reference.{c.name}": (c.name, design.reference) for c in design.to_reference()}
        widest = max(against, key=lambda metric: _size(found[metric].value))
        pairs |= {**against, f"{name}_gap_to_reference": against[widest]}
    return {metric: _extremes(found[metric], values, samples, pair) for metric, pair in pairs.items()}


def _extremes(estimate: Estimate, values: Array, samples: Sequence[Sample], pair: tuple[str, str]) -> tuple[int, ...]:
    """Indices of the samples behind the largest differences: the highest of one group and the lowest of the other."""
    differences = {
        cluster: value for cluster, value in estimate.cluster_values.items() if value and math.isfinite(value)
    }
    chosen: list[int] = []
    for cluster in sorted(differences, key=lambda cluster: -abs(differences[cluster]))[:3]:
        upper, lower = pair if differences[cluster] > 0 else pair[::-1]
        inside = [i for i, s in enumerate(samples) if s.request.cluster == cluster and math.isfinite(values[i])]
        of_group = {g: [i for i in inside if samples[i].request.factors["group"] == g] for g in pair}
        chosen.append(max(of_group[upper], key=lambda i: values[i]))
        chosen.append(min(of_group[lower], key=lambda i: values[i]))
    return tuple(chosen)


def _size(value: float) -> float:
    return -1.0 if math.isnan(value) else abs(value)


def _mean(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else math.nan
