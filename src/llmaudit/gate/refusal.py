"""What is said before anything is computed, where a run and its baseline are not alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmaudit.gate.judging import Gate
from llmaudit.records import AuditRecord

__all__ = ["Asked", "refusal"]

#: Checks named in one message; the others are counted.
_NAMED = 12


@dataclass(frozen=True, slots=True)
class Asked:
    """An audit that is about to run, and the selected checks of it."""

    audit: AuditRecord
    """As it is known beforehand: what it will ask, and by which scorers."""
    checks: tuple[str, ...]
    """Those that have a margin."""


def refusal(gate: Gate, asked: Sequence[Asked]) -> str | None:
    """Say what differs from the baseline and which checks can still be compared; None where all is alike.

    Only audits with a check that has a margin count: the others are not judged. With `allow_unlike` only a baseline of
    other suites altogether is refused.
    """
    suites = list(dict.fromkeys(each.audit.suite for each in asked))
    known = list(dict.fromkeys(audit.suite for audit in gate.baseline.audits))
    if suites and not set(suites) & set(known):
        return f"{gate.source}: a run of other suites ({', '.join(known)}); this one is of {', '.join(suites)}"
    judged = [each for each in asked if each.checks]
    found = [(each, gate.differences(each.audit)) for each in judged]
    lines = [*gate.unlike, *(f"{each.audit.id}: {'; '.join(differing)}" for each, differing in found if differing)]
    if gate.allow_unlike or not lines:
        return None
    like = [f"{each.audit.audit}::{check}" for each, differing in found if not differing for check in each.checks]
    told = ", ".join(like[:_NAMED]) + (f" and {len(like) - _NAMED} more" if len(like) > _NAMED else "")
    still = [] if gate.unlike else [f"These can still be compared: {told or 'none'}."]
    way = "Add --allow-unlike to compare what is comparable, or accept a new baseline with --baseline-update."
    return "\n".join([f"{gate.source}: not the same measurement as this run:", *map("  {}".format, lines), *still, way])
