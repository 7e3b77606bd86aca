"""The pytest tree of a suite: the file, its audits, their checks."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import warnings
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from llmaudit.engines.base import Engine
from llmaudit.errors import CapabilityError, LLMAuditError, ModelError, SuiteError
from llmaudit.execution import Execution, Finished, finish
from llmaudit.noise_floor import measure_noise
from llmaudit.pytest_plugin.progress import ProgressLine
from llmaudit.pytest_plugin.session import catalog, session_of, workers
from llmaudit.recording import blank_record, plain_audit, record_check, sample_lines
from llmaudit.records import Record, SuiteRecord, to_plain
from llmaudit.report.words import headline
from llmaudit.suite import AuditEntry, CheckEntry, Suite, load_suite

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
                samples=settings.samples,
                reference=settings.reference,
            )
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
        with ProgressLine(self.config, f"{self.suite.name} / {self.entry.name}") as progress:
            try:
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
                self.finished = finish(self.entry, self.suite, execution)
                noise = measure_noise(self.finished, execution) if settings.aa else ()
                self._plain = {"audit": plain_audit(self.finished, noise), "model": to_plain(engine.info)}
            except CapabilityError as error:
                raise pytest.skip.Exception(str(error)) from None
            except LLMAuditError as error:
                raise pytest.fail.Exception(str(error), pytrace=False) from None
        try:
            self._store_samples(state.folder)
        except OSError as error:
            # The verdicts are measured, and worth more than the samples behind them.
            state.remarks.append(f"the samples of {self.name} could not be stored ({error})")

    def teardown(self) -> None:
        """Free the samples."""
        self.finished = None

    def plain(self) -> dict[str, Any]:
        """What the report needs of this audit, as builtins; of an audit that did not run, the suite alone."""
        suite = self.suite
        data: dict[str, Any] = {
            "suite": to_plain(SuiteRecord(suite.name, suite.description, str(suite.path), suite.sha256))
        }
        notes = session_of(self.config).notes()
        return data | self._plain | ({"notes": notes} if self._plain else {})

    def _engine(self) -> Engine:
        try:
            return session_of(self.config).engine()
        except ModelError as error:
            # No other audit can run either: one message, not one per check.
            self.session.shouldfail = f"the model cannot be audited: {error}"
            raise

    def _store_samples(self, folder: Path) -> None:
        """Write the samples at once: a run that ends early keeps those of the audits that finished."""
        if self.finished is None:
            return
        parts = folder / "samples"
        parts.mkdir(parents=True, exist_ok=True)
        # Two files may call their suites alike, and two names may look alike as parts of a path.
        own = hashlib.sha256(self.nodeid.encode()).hexdigest()[:8]
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{self.suite.name}.{self.entry.name}")[:60]
        whole = parts / f"{name}.{own}.jsonl.gz"
        # Named at the end, so that half a file, of a full disk, is never taken for one.
        half = whole.with_suffix(".half")
        try:
            with gzip.open(half, "wt", encoding="utf-8") as stream:
                for line in sample_lines(self.finished):
                    stream.write(json.dumps(to_plain(line), ensure_ascii=False, allow_nan=False) + "\n")
            half.replace(whole)
        finally:
            half.unlink(missing_ok=True)


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
        self.record = record = record_check(self.parent.finished, self.check)
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


def _unit(item: pytest.Item) -> pytest.Item | AuditNode:
    return item.parent if isinstance(item, CheckItem) else item


def _xfail(reason: str) -> pytest.MarkDecorator:
    # A waiver accepts a finding: a check that cannot be decided, or an error of the harness, stays what it is.
    return pytest.mark.xfail(reason=reason, raises=CheckFailed, strict=False)


def _properties(record: Record) -> list[tuple[str, object]]:
    estimate = record.estimate
    found: dict[str, object] = {"verdict": record.verdict, "max": record.limit.max, "min": record.limit.min}
    if estimate is not None:
        names = ("value", "low", "high", "n", "clusters", "unit", "p_value")
        found |= {name: getattr(estimate, name) for name in names}
    return [(name, to_plain(value)) for name, value in found.items() if value is not None]
