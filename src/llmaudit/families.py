"""Families of checks: p-values adjusted over what a suite declares, never over what happened to run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from llmaudit.records import FamilyRecord, Record, SuiteRecord
from llmaudit.stats.multiplicity import benjamini_hochberg, holm

__all__ = ["ALPHA", "adjust_p_values", "family_records"]

Role = Literal["confirmatory", "exploratory"]

#: An adjusted p-value at or below this is a discovery. It decides no verdict.
ALPHA = 0.05


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


def family_records(suites: Iterable[SuiteRecord], records: Sequence[Record]) -> tuple[FamilyRecord, ...]:
    """Sum up each family: whether all of it passed and, apart from that, what was discovered in it.

    The p-values of `records` are those of adjust_p_values. A suite that declares no check of a role has no such family.
    """
    roles: tuple[Role, ...] = ("confirmatory", "exploratory")
    return tuple(
        _family_record(suite, role, [record for record in records if (record.suite, record.role) == (suite.name, role)])
        for suite in suites
        for role in roles
        if suite.declared.get(role)
    )


def _family_record(suite: SuiteRecord, role: Role, records: Sequence[Record]) -> FamilyRecord:
    return FamilyRecord(
        suite=suite.name,
        role=role,
        declared=suite.declared[role],
        seen=len(records),
        ran=sum(record.estimate is not None for record in records),
        passed=sum(record.verdict == "pass" for record in records),
        adjustment=next((record.adjustment for record in records if record.adjustment), ""),
        discovered=tuple(
            f"{record.audit}/{record.check}"
            for record in records
            if record.p_adjusted is not None and record.p_adjusted <= ALPHA
        ),
    )


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
