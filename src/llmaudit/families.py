"""Families of checks: p-values adjusted over what a suite declares, never over what happened to run."""

from __future__ import annotations

from dataclasses import replace

from llmaudit.records import Record
from llmaudit.stats.multiplicity import benjamini_hochberg, holm

__all__ = ["adjust_p_values"]


def adjust_p_values(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """Adjust p-values inside each suite: Holm over its confirmatory checks, Benjamini-Hochberg over the exploratory.

    The family is what the suite declares, never what happened to be selected: where checks of the family did not run,
    nothing is adjusted. A check that ran and gave no p-value counts as p = 1.
    """
    families: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.estimate is not None and not record.estimate.deterministic:
            families.setdefault((record.suite, record.role), []).append(record)
    adjusted = {r.id: r for (_, role), family in families.items() for r in _adjust_family(role, family)}
    return tuple(adjusted.get(record.id, record) for record in records)


def _adjust_family(role: str, family: list[Record]) -> list[Record]:
    declared = family[0].family
    if len(family) < declared:
        reason = f"not adjusted: {len(family)} of the {declared} checks of the family ran"
        return [replace(record, adjustment=reason) for record in family]
    p_values: dict[str, float] = {}
    for record in family:
        p = record.estimate.p_value if record.estimate else None
        p_values[record.id] = 1.0 if p is None else p
    corrected = holm(p_values) if role == "confirmatory" else benjamini_hochberg(p_values)
    method = "Holm" if role == "confirmatory" else "Benjamini-Hochberg"
    return [
        replace(record, p_adjusted=corrected[record.id], adjustment=f"{method} over {declared}")
        if record.estimate and record.estimate.p_value is not None
        else record
        for record in family
    ]
