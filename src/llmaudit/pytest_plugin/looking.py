"""Refuses, before anything runs, samples that would be added after a look that no plan declares."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llmaudit.earlier import earlier_runs, same_form
from llmaudit.looks import added_samples, grows
from llmaudit.pytest_plugin.session import AuditSession
from llmaudit.recording import planned_audit
from llmaudit.suite import AuditEntry, Suite

__all__ = ["refuse_added_samples"]


def refuse_added_samples(state: AuditSession, audits: Sequence[tuple[Suite, AuditEntry]]) -> None:
    """Raise UsageError where an audit has been judged with fewer samples and its suite declares no plan for it."""
    settings = state.settings
    growing = [planned_audit(suite, entry) for suite, entry in audits if grows(entry)]
    if settings.smoke or not growing or not state.folder.parent.is_dir():
        return
    # A model in another form is another model; on another device it is the same one.
    runs = [
        run
        for run in earlier_runs(state.folder.parent.parent, state.folder.parent.name)
        if run.model is not None
        and run.model.name == settings.model
        and same_form(run.model, quantization=settings.quantization, dtype=settings.dtype)
    ]
    found = [added_samples(planned, runs, settings.seed) for planned in growing]
    if problems := [problem for problem in found if problem]:
        raise pytest.UsageError("\n".join(problems))
