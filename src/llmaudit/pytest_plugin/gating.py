"""The gate of a session: its baseline is found before anything runs, or measured first where it is a model."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llmaudit.engines.base import Engine, Variant
from llmaudit.environment import describe
from llmaudit.errors import LLMAuditError, ModelError
from llmaudit.execution import Execution, finish
from llmaudit.families import adjust_p_values
from llmaudit.gate import MODEL_PREFIX, Asked, Gate, refusal
from llmaudit.pytest_plugin.baseline_files import baseline_run
from llmaudit.pytest_plugin.progress import ProgressLine
from llmaudit.pytest_plugin.recorder import run_folder
from llmaudit.pytest_plugin.writing import store_run, store_samples
from llmaudit.recording import audit_record, planned_audit, record_check, suite_record
from llmaudit.records import AuditRecord, Record, SuiteRecord, to_plain
from llmaudit.run import SCHEMA_VERSION, Run
from llmaudit.store import ResponseStore
from llmaudit.suite import AuditEntry, Suite
from llmaudit.types import ModelInfo

if TYPE_CHECKING:
    from llmaudit.pytest_plugin.session import AuditSession

__all__ = ["Selected", "measure_baseline", "open_gate", "refuse_unlike"]


@dataclass(frozen=True, slots=True)
class Selected:
    """An audit of the session with the checks of it that will run."""

    suite: Suite
    entry: AuditEntry
    checks: tuple[str, ...]
    nodeid: str

    def asked(self) -> Asked:
        """As a gate wants to know it."""
        margins = {check.metric for check in self.entry.checks if check.params.margin is not None}
        return Asked(planned_audit(self.suite, self.entry), tuple(name for name in self.checks if name in margins))


def open_gate(config: pytest.Config, state: AuditSession) -> Gate | None:
    """Return the gate of a session whose baseline is a run that is there already. Raises UsageError."""
    settings = state.settings
    if settings.baseline is None or settings.baseline.startswith(MODEL_PREFIX) or settings.smoke:
        return None
    run = baseline_run(config, settings)
    return Gate(run, f"--baseline {settings.baseline}", settings.seed, settings.allow_unlike)


def refuse_unlike(gate: Gate, selected: Sequence[Selected]) -> None:
    """Refuse a baseline that did not measure what is about to be measured. Raises UsageError."""
    if (words := refusal(gate, [each.asked() for each in selected])) is not None:
        raise pytest.UsageError(words)


def measure_baseline(config: pytest.Config, state: AuditSession, selected: Sequence[Selected]) -> Gate:
    """Run the audits of the session on the model that `--baseline model:NAME` names, close it, and return the gate.

    The run is written beside the others, without a report. An audit that this model cannot answer is left out, and its
    checks are not compared. Raises ModelError where the model cannot be had, and StoreError.
    """
    settings = state.settings
    name = (settings.baseline or "").removeprefix(MODEL_PREFIX)
    folder = run_folder(config, replace(settings, model=name))
    folder = folder.with_name(f"{folder.name}-baseline")
    started = _now()
    with ProgressLine(config, f"baseline {name}") as progress:
        progress.say("loading the model")
        engine = state.variant(Variant(model=name))
    with closing(engine):
        measuring = _Measuring(config, state, engine, state.lent_store(), folder)
        for each in selected:
            measuring.add(each)
        info = engine.info
    run = measuring.run(info, started)
    store_run(run, folder)
    return Gate(replace(run, folder=folder), f"--baseline {settings.baseline}", settings.seed, settings.allow_unlike)


@dataclass(slots=True)
class _Measuring:
    """The baseline's run while it grows."""

    config: pytest.Config
    state: AuditSession
    engine: Engine
    store: ResponseStore | None
    folder: Path
    audits: list[AuditRecord] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    plan: list[str] = field(default_factory=list)
    suites: dict[str, SuiteRecord] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, selected: Selected) -> None:
        """Run one audit."""
        suite, entry, settings = selected.suite, selected.entry, self.state.settings
        self.suites[suite.name] = suite_record(suite)
        with ProgressLine(self.config, f"baseline: {suite.name} / {entry.name}") as progress:
            execution = Execution(
                self.engine,
                self.state.tokenizer,
                progress,
                store=self.store,
                seed=settings.seed,
                engine_of=self.state.variant,
            )
            try:
                finished = finish(entry, suite, execution)
            except ModelError:
                raise
            except LLMAuditError as error:
                self.notes.append(f"The baseline has no {suite.name} / {entry.name}: {error}")
                return
        try:
            store_samples(finished, self.folder, selected.nodeid)
        except OSError as error:
            # The estimates are measured, and worth more than the samples behind them.
            self.notes.append(f"The samples of {suite.name} / {entry.name} could not be stored: {error}")
        self.audits.append(replace(audit_record(finished), order=len(self.plan)))
        for check in entry.checks:
            self.records.append(replace(record_check(finished, check), order=len(self.plan)))
            self.plan.append(f"{selected.nodeid}::{check.metric}")

    def run(self, model: ModelInfo, started: str) -> Run:
        """Return what was measured as a run."""
        return Run(
            schema_version=SCHEMA_VERSION,
            run_id=uuid.uuid4().hex[:12],
            started=started,
            finished=_now(),
            llmaudit_version=version("llmaudit"),
            model=model,
            environment=to_plain(describe(self.config.invocation_params.args, self.config.rootpath)),
            seed=self.state.settings.seed,
            smoke=False,
            complete=True,
            suites=tuple(self.suites.values()),
            plan=tuple(self.plan),
            audits=tuple(self.audits),
            records=adjust_p_values(tuple(self.records)),
            notes=("Measured as the baseline of another run.", *self.notes),
        )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
