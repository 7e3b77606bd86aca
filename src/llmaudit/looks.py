"""Samples that are added after a look: recognised by what earlier runs asked, and refused unless it was declared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from llmaudit.exhibits import Setting
from llmaudit.records import AuditRecord
from llmaudit.run import Run
from llmaudit.suite import AuditEntry, Suite

__all__ = ["added_samples", "grows", "look_settings", "looks_of"]

_JUDGED = {"pass", "fail", "inconclusive"}
_LOOKS, _LOOK = "looks", "look"
_NUMBER = re.compile(r"look (\d+) of")


def grows(entry: AuditEntry) -> bool:
    """Whether an audit has a number of samples, which could grow from look to look."""
    return isinstance(getattr(entry.audit.params, "samples", None), int)


def look_settings(suite: Suite, entry: AuditEntry) -> tuple[Setting, ...]:
    """The settings that say which look an audit's run was, of how many."""
    look = suite.look
    if look is None or not grows(entry):
        return ()
    return Setting(_LOOKS, f"{look.of} by {look.plan}"), Setting(_LOOK, str(look))


def looks_of(run: Run) -> dict[str, str]:
    """Return, by audit id, which look a run was of those that the suite declares, in words; empty where none does."""
    found = ((audit.id, _setting(audit, _LOOK)) for audit in run.audits)
    return {audit: look for audit, look in found if look is not None}


def added_samples(planned: AuditRecord, runs: Iterable[Run], seed: int) -> str | None:
    """Say why an audit must not be judged: an earlier run judged the same with fewer samples, and no plan said so.

    `planned` is what is about to be asked, `runs` are earlier runs on the same model; of those with the same seed, one
    that differs in its number of samples alone counts. Nothing is wrong where it was an earlier look by the same plan.
    """
    samples = _samples(planned)
    if samples is None:
        return None
    for run in runs:
        if run.smoke or run.seed != seed:
            continue
        for audit in run.audits:
            fewer = _samples(audit)
            if audit.id != planned.id or fewer is None or fewer >= samples or not _judged(run, audit):
                continue
            if _rest(audit) == _rest(planned) and not _foreseen(audit, planned):
                return (
                    f"{planned.id}: {samples} samples, and the run of {run.started[:16].replace('T', ' ')} judged the"
                    f" same audit with {fewer}. Adding samples after looking makes a false verdict more likely than the"
                    " 5 % that is promised. Declare in the suite, before the first look, how often you will look"
                    " (looks: {plan: obrien_fleming, of: 3}), or ask anew with another --seed"
                )
    return None


def _judged(run: Run, audit: AuditRecord) -> bool:
    return any(
        (record.suite, record.audit) == (audit.suite, audit.audit)
        and record.role == "confirmatory"
        and record.verdict in _JUDGED
        and not (record.estimate and record.estimate.deterministic)
        for record in run.records
    )


def _samples(audit: AuditRecord) -> int | None:
    written = audit.design.get("samples")
    value = None if written is None else json.loads(written)
    return value if isinstance(value, int) else None


def _rest(audit: AuditRecord) -> tuple[str, dict[str, str]]:
    """What an audit asks but for the number of its samples."""
    return audit.kind, {name: value for name, value in audit.design.items() if name != "samples"}


def _foreseen(before: AuditRecord, now: AuditRecord) -> bool:
    """Whether an audit was an earlier look by the plan that is followed now; a later one had all that it promised."""
    plan = _setting(now, _LOOKS)
    return plan is not None and plan == _setting(before, _LOOKS) and _number(before) < _number(now)


def _number(audit: AuditRecord) -> int:
    found = _NUMBER.match(_setting(audit, _LOOK) or "")
    return int(found[1]) if found else 0


def _setting(audit: AuditRecord, name: str) -> str | None:
    return next((setting.value for setting in audit.settings if setting.name == name), None)
