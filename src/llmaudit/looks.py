"""Samples that are added after a look: recognised by what earlier runs asked, and refused unless it was declared."""

from __future__ import annotations

import json
from collections.abc import Iterable

from llmaudit.exhibits import Setting
from llmaudit.records import AuditRecord
from llmaudit.run import Run
from llmaudit.suite import AuditEntry, Suite

__all__ = ["added_samples", "grows", "look_settings"]

_JUDGED = {"pass", "fail", "inconclusive"}
_LOOKS = "looks"


def grows(entry: AuditEntry) -> bool:
    """Whether an audit has a number of samples, which could grow from look to look."""
    return isinstance(getattr(entry.audit.params, "samples", None), int)


def look_settings(suite: Suite, entry: AuditEntry) -> tuple[Setting, ...]:
    """The settings that say which look an audit's run was, of how many."""
    look = suite.look
    if look is None or not grows(entry):
        return ()
    return Setting(_LOOKS, f"{look.of} by {look.plan}"), Setting("look", str(look))


def added_samples(planned: AuditRecord, runs: Iterable[Run], model: str, seed: int) -> str | None:
    """Say why an audit must not be judged: an earlier run judged the same with fewer samples, and no plan said so.

    `planned` is what is about to be asked, `runs` are earlier runs; of those on the same model and seed, one that
    differs in its number of samples alone counts. Where both follow the same plan of looks nothing is wrong.
    """
    samples = _samples(planned)
    if samples is None:
        return None
    for run in runs:
        if run.smoke or run.seed != seed or run.model is None or run.model.name != model:
            continue
        for audit in run.audits:
            fewer = _samples(audit)
            if audit.id != planned.id or fewer is None or fewer >= samples or not _judged(run, audit):
                continue
            if _rest(audit) == _rest(planned) and (_plan(planned) is None or _plan(planned) != _plan(audit)):
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


def _plan(audit: AuditRecord) -> str | None:
    return next((setting.value for setting in audit.settings if setting.name == _LOOKS), None)
