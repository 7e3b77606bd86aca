"""The pytest tree of a suite: the file, its audits, their checks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from llmaudit.engines.base import Engine
from llmaudit.errors import CapabilityError, LLMAuditError, ModelError, SuiteError
from llmaudit.execution import Execution, Finished, finish
from llmaudit.gate import AuditGate, Gate
from llmaudit.noise_floor import measure_noise
from llmaudit.pytest_plugin.gating import Selected, open_gate, refuse_unlike
from llmaudit.pytest_plugin.looking import refuse_added_samples
from llmaudit.pytest_plugin.progress import ProgressLine
from llmaudit.pytest_plugin.session import catalog, session_of, workers
from llmaudit.pytest_plugin.writing import store_samples
from llmaudit.recording import audit_record, blank_record, plain_audit, record_check, suite_record
from llmaudit.records import Record, to_plain
from llmaudit.report.words import headline
from llmaudit.suite import AtLook, AuditEntry, CheckEntry, Suite, load_suite

__all__ = ["AuditNode", "CheckFailed", "CheckInconclusive", "CheckItem", "LLMAuditWarning", "SuiteFile"]


_NOT_ALONE = "measures time or memory, and {} workers share this machine: run it without -n"


class CheckFailed(AssertionError):  # noqa: N818 - a verdict, not an error
    """A check failed."""


class CheckInconclusive(AssertionError):  # noqa: N818 - likewise
    """A check could not be decided, where that counts as failed."""


class LLMAuditWarning(UserWarning):
    """A check that could not be decided, where that is a warning only."""


class SuiteFile(pytest.File):
    """One *.audit.yaml file."""

    def collect(self) -> Iterator[pytest.Collector]:
        """Load the suite; every mistake in it becomes one line of one collection error."""
        settings = session_of(self.config).settings
        kinds, scorers = catalog(self)
        path = Path(os.path.relpath(self.path, self.config.invocation_params.dir))
        path = self.path if path.parts[:1] == ("..",) else path
        try:
            suite = load_suite(
                path,
                kinds=kinds,
                scorers=scorers,
                seed=settings.seed,
                samples=settings.samples if settings.look is None else AtLook(settings.look),
                reference=settings.reference,
            )
            if waivers := session_of(self.config).waivers():
                suite = waivers.apply(suite)
        except SuiteError as error:
            raise self.CollectError(str(error)) from None
        session_of(self.config).claim(suite.name, suite.path)
        for entry in suite.audits:
            yield AuditNode.from_parent(self, name=entry.name, entry=entry, suite=suite)


class AuditNode(pytest.Collector):
    """One audit: its setup runs the whole batch, its checks compare."""

    def __init__(self, *, entry: AuditEntry, suite: Suite, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entry = entry
        self.suite = suite
        self.finished: Finished | None = None
        self.against: AuditGate | None = None
        self.told = False
        self._plain: dict[str, Any] = {}
        self.add_marker(entry.audit.kind)
        params = entry.audit.params
        if params.skip:
            self.add_marker(pytest.mark.skip(reason=params.skip.reason))
        if params.xfail:
            self.add_marker(_xfail(params.xfail.reason))
        if entry.audit.exclusive and (others := workers(self.config)) > 1:
            self.add_marker(pytest.mark.skip(reason=_NOT_ALONE.format(others)))

    def collect(self) -> Iterator[pytest.Item]:
        """One item per check."""
        for check in self.entry.checks:
            yield CheckItem.from_parent(self, name=check.metric, check=check)

    def setup(self) -> None:
        """Run the audit; what goes wrong here is said once per check, in one line."""
        state = session_of(self.config)
        try:
            if hasattr(self.config, "workerinput"):
                # What stops a session before it starts can only be said here by a worker.
                refuse_added_samples(state, [(self.suite, self.entry)])
            gate = self._gate()
            with ProgressLine(self.config, f"{self.suite.name} / {self.entry.name}") as progress:
                progress.say("loading the model")
                engine, settings = self._engine(), state.settings
                execution = Execution(
                    engine,
                    state.tokenizer,
                    progress,
                    smoke=settings.smoke,
                    store=state.store(),
                    seed=settings.seed,
                    engine_of=state.variant,
                )
                finished = finish(self.entry, self.suite, execution)
                noise = measure_noise(finished, execution) if settings.aa else ()
                self._plain = {"audit": plain_audit(finished, noise, gate), "model": to_plain(engine.info)}
        except CapabilityError as error:
            raise pytest.skip.Exception(str(error)) from None
        except (LLMAuditError, pytest.UsageError) as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        self.finished = finished
        if gate is not None:
            self.against = gate.against(audit_record(finished), engine.info)
            self._plain["baseline"] = to_plain(gate.record())
        try:
            store_samples(self.finished, state.folder, self.nodeid)
        except OSError as error:
            # The verdicts are measured, and worth more than the samples behind them.
            state.remarks.append(f"the samples of {self.name} could not be stored ({error})")

    def teardown(self) -> None:
        """Free the samples."""
        self.finished = self.against = None

    def plain(self) -> dict[str, Any]:
        """What the report needs of this audit, as builtins; of an audit that did not run, the suite alone."""
        data: dict[str, Any] = {"suite": to_plain(suite_record(self.suite))}
        notes = session_of(self.config).notes()
        return data | self._plain | ({"notes": notes} if self._plain else {})

    def selected(self, checks: Sequence[str]) -> Selected:
        """Return this audit with those of its checks that will run."""
        return Selected(self.suite, self.entry, tuple(checks), self.nodeid)

    def _gate(self) -> Gate | None:
        """What judges against the baseline, which is measured here if it is a model and this is the first audit."""
        try:
            gate = session_of(self.config).gate(lambda: _selected(self.session))
        except ModelError as error:
            self.session.shouldfail = f"the baseline cannot be audited: {error}"
            raise
        if gate is not None and hasattr(self.config, "workerinput"):
            # Where no worker collects for all, each audit is refused by itself.
            refuse_unlike(gate, [each for each in _selected(self.session) if each.nodeid == self.nodeid])
        return gate

    def _engine(self) -> Engine:
        try:
            return session_of(self.config).engine()
        except ModelError as error:
            # No other audit can run either: one message, not one per check.
            self.session.shouldfail = f"the model cannot be audited: {error}"
            raise


class CheckItem(pytest.Item):
    """One check: an estimate against a limit."""

    parent: AuditNode

    def __init__(self, *, check: CheckEntry, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check
        self.record: Record | None = None
        self.extra_keyword_matches |= {self.parent.entry.audit.kind, check.params.role}
        if check.params.skip:
            self.add_marker(pytest.mark.skip(reason=check.params.skip.reason))
        if check.params.xfail:
            self.add_marker(_xfail(check.params.xfail.reason))

    @property
    def design_problem(self) -> str | None:
        """Why this check cannot be decided, whatever the model answers."""
        return self.parent.entry.audit.undecidable().get(self.check.metric)

    def runtest(self) -> None:
        """Judge."""
        assert self.parent.finished is not None  # noqa: S101 - setup raised otherwise
        self.record = record = record_check(self.parent.finished, self.check, self.parent.against)
        self.user_properties += _properties(record)
        if record.gates:
            raise (CheckFailed if record.verdict == "fail" else CheckInconclusive)(headline(record))
        if record.verdict == "inconclusive" and record.role == "confirmatory":
            self._warn(headline(record))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show a verdict as one sentence, anything else as pytest does."""
        if isinstance(excinfo.value, CheckFailed | CheckInconclusive):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def _traceback_filter(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
        # What pytest called before it came to the setup of the audit helps nobody: 300 lines per check.
        frames = excinfo.traceback.cut(path=__file__).filter(excinfo)
        if self.config.getoption("tbstyle") != "auto" or isinstance(excinfo.value, pytest.fail.Exception):
            return frames
        return type(frames)(frame.with_repr_style("short") for frame in frames)

    def reportinfo(self) -> tuple[os.PathLike[str], int, str]:
        """Point at the check's line in the suite."""
        return self.path, self.check.place.line - 1, f"{self.parent.name}: {self.name}"

    def _warn(self, text: str) -> None:
        try:
            self.warn(LLMAuditWarning(text))
        except LLMAuditWarning:
            # The project makes errors of warnings in general, the suite says of this one that it is none.
            with warnings.catch_warnings():
                warnings.simplefilter("always", LLMAuditWarning)
                self.warn(LLMAuditWarning(text))

    def outcome(self, report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException] | None) -> Record | None:
        """Return the record of a finished check, or None while it is not finished."""
        parent, check = self.parent, self.check
        if report.when == "call" and self.record is not None:
            return self.record
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            return blank_record(parent.suite, parent.entry, check, "skipped", reason.removeprefix("Skipped: "))
        if report.failed:
            reason = report.longreprtext if excinfo is None else excinfo.exconly(tryshort=True)
            return blank_record(parent.suite, parent.entry, check, "error", reason.removeprefix("Failed: ").strip())
        return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the checks of an audit together again where something reordered them: apart, its batch would run twice."""
    place: dict[int, int] = {}
    keys = {id(item): place.setdefault(id(_unit(item)), len(place)) for item in items}
    items.sort(key=lambda item: keys[id(item)])


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse what must not be judged, or cannot be compared with the baseline, before a minute is spent."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly or config.getoption("llmaudit_plan"):
        return
    nodes = dict.fromkeys(item.parent for item in session.items if isinstance(item, CheckItem))
    if not nodes:
        return
    state = session_of(config)
    refuse_added_samples(state, [(node.suite, node.entry) for node in nodes])
    if (gate := open_gate(config, state)) is not None:
        refuse_unlike(gate, _selected(session))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Attach the record of a finished check to its report, as plain data: so it travels from xdist's workers too."""
    report: Any = yield
    if isinstance(item, CheckItem) and (record := item.outcome(report, call.excinfo)) is not None:
        report.llmaudit = {"record": to_plain(asdict(record))}
        if not item.parent.told:
            report.llmaudit |= item.parent.plain()
            # A check that is skipped comes before the batch has run; the next one tells of it.
            item.parent.told = item.parent.finished is not None
    return report


def _selected(session: pytest.Session) -> list[Selected]:
    """The audits of a session, each with the checks of it that will run, but for those that are skipped."""
    checks: dict[AuditNode, list[str]] = {}
    for item in session.items:
        if isinstance(item, CheckItem) and item.get_closest_marker("skip") is None:
            checks.setdefault(item.parent, []).append(item.check.metric)
    return [node.selected(names) for node, names in checks.items()]


def _unit(item: pytest.Item) -> pytest.Item | AuditNode:
    return item.parent if isinstance(item, CheckItem) else item


def _xfail(reason: str) -> pytest.MarkDecorator:
    # A waiver accepts a finding: a check that cannot be decided, or an error of the harness, stays what it is.
    return pytest.mark.xfail(reason=reason, raises=CheckFailed, strict=False)


def _properties(record: Record) -> list[tuple[str, object]]:
    estimate, limit, waiver, baseline = record.estimate, record.limit, record.waiver, record.baseline
    found: dict[str, object] = {"verdict": record.verdict, "role": record.role}
    found |= {"max": limit.max, "min": limit.min, "margin": limit.margin}
    if estimate is not None:
        names = ("value", "low", "high", "level", "n", "clusters", "unit", "p_value")
        found |= {name: getattr(estimate, name) for name in names}
    if baseline is not None:
        numbers = ("verdict", "value", "difference", "low", "high", "margin", "detectable")
        found |= {f"baseline_{name}": getattr(baseline, name) for name in numbers}
    if waiver is not None:
        found |= {"waiver": waiver.reason, "waiver_expires": waiver.expires}
    return [(name, to_plain(value)) for name, value in found.items() if value is not None]
