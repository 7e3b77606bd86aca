"""Which audits two or more runs measured alike: only then does a difference say something of the models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from llmaudit.gate import differences
from llmaudit.records import AuditRecord
from llmaudit.run import Run

__all__ = ["Alike", "Unlike", "split_by_likeness"]

#: Run -> one and the same audit in it.
Alike = Mapping[int, AuditRecord]


@dataclass(frozen=True, slots=True)
class Unlike:
    """Something of a run that is not compared."""

    run: int
    audit: str | None
    """`suite/audit`; None for the whole run."""
    reason: str
    """`there` is the first run that has the audit, `here` this one."""


def split_by_likeness(runs: Sequence[Run]) -> tuple[list[Alike], tuple[Unlike, ...]]:
    """Return the audits that two runs or more measured alike, and what is not compared, with the reasons.

    Every audit is held against that of the first run which has it; a run of another seed than the first is left out.
    """
    seed = runs[0].seed
    unlike = [
        Unlike(place, None, f"seed {seed} there, {run.seed} here") for place, run in enumerate(runs) if run.seed != seed
    ]
    kept = [place for place, run in enumerate(runs) if run.seed == seed]
    audits: dict[str, dict[int, AuditRecord]] = {}
    for place in kept:
        for audit in sorted(runs[place].audits, key=lambda audit: audit.order):
            audits.setdefault(audit.id, {})[place] = audit
    alike = []
    for name, having in audits.items():
        reasons = dict(_reasons(having, kept))
        unlike += [Unlike(place, name, reason) for place, reason in reasons.items()]
        alike.append({place: audit for place, audit in having.items() if place not in reasons})
    return [found for found in alike if len(found) > 1], tuple(unlike)


def _reasons(having: Alike, runs: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Say of every run that is not like the first one which has an audit why it is not."""
    first = having[min(having)]
    for run in runs:
        if run not in having:
            yield run, "no such audit here"
        elif not first.design or not having[run].design:
            yield run, "written by an older llmaudit, which does not say what it measured"
        elif found := differences(first, having[run]):
            yield run, "; ".join(found)
