"""Gathers the records of a session and writes what a run leaves behind. Light until there is something to write."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llmaudit.pytest_plugin import options
from llmaudit.pytest_plugin.baseline_files import accept_run, check_baseline

if TYPE_CHECKING:
    from llmaudit.pytest_plugin.gate_only import GateOnly
    from llmaudit.run import Run

__all__ = ["Recorder", "run_folder", "started_at"]

_SUITE_SUFFIX = ".audit.yaml"


class Recorder:
    """Lives in the process that reports: the only one, or the controller of pytest-xdist."""

    def __init__(self, config: pytest.Config) -> None:
        self.started = _now()
        self.run: Run | None = None
        self.report: Path | None = None
        self.problem: str | None = None
        self._config = config
        self._plan: list[str] = []
        self._records: dict[str, dict[str, Any]] = {}
        self._suites: dict[str, dict[str, Any]] = {}
        self._audits: dict[str, dict[str, Any]] = {}
        self._model: dict[str, Any] | None = None
        self._notes: dict[str, None] = {}
        self._workers = 1
        self._places: dict[int, tuple[Path, int]] = {}
        self._session: pytest.Session | None = None
        self._gate: GateOnly | None = None
        self._baseline: dict[str, Any] | None = None
        self.accepted: Path | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: list[Any]) -> None:
        """Note how many workers share the machine."""
        self._workers = len(specs)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Keep back pytest's report before its first line, where ten lines are asked for."""
        terminal: Any = self._config.pluginmanager.getplugin("terminalreporter")
        if terminal is not None and options.gate_only(self._config):
            from llmaudit.pytest_plugin.gate_only import GateOnly  # noqa: PLC0415 - seldom needed

            self._session, self._gate = session, GateOnly(terminal)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Refuse, before anything runs, what could only fail afterwards."""
        self._prepare([item.nodeid for item in session.items if _is_suite(item.path)])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """The same where the workers collect."""
        if self._plan:
            return
        # The name of any test may hold that of a suite, in the brackets of its parameters.
        plan = [nodeid for nodeid in ids if nodeid.partition("::")[0].endswith(_SUITE_SUFFIX)]
        terminal: Any = self._config.pluginmanager.getplugin("terminalreporter")
        for line in self._header(len(_files(plan))) if terminal is not None else ():
            terminal.ensure_newline()
            terminal.write_line(line)
        self._prepare(plan)

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> list[str]:
        """One line that says what is about to be audited."""
        plan = self._config.getoption("llmaudit_plan")
        if plan == "json":
            return []
        header = self._header(len({item.path for item in items if _is_suite(item.path)}))
        # A plan says more of every check that cannot decide.
        return [*header, *([] if plan else _undecidable(items))]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the record of a check; of a check that ran again, the last one."""
        data: dict[str, Any] | None = getattr(report, "llmaudit", None)
        if data is None:
            return
        record = data["record"]
        place = self._plan.index(report.nodeid) if report.nodeid in self._plan else len(self._plan)
        self._records[report.nodeid] = {**record, "order": place}
        file, line, _ = report.location
        self._places[place] = (self._config.rootpath / file, (line or 0) + 1)
        if "suite" in data:
            self._suites[report.nodeid.partition("::")[0]] = data["suite"]
        if "audit" in data:
            self._audits[report.nodeid.rpartition("::")[0]] = {**data["audit"], "order": place}
            self._model = data["model"]
            self._notes |= dict.fromkeys(data["notes"])
            self._baseline = data.get("baseline")
        self._config.hook.pytest_llmaudit_record(record=record)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write run.json, the samples and the report."""
        if not self._records:
            if self._plan and (folder := run_folder(self._config, options.Settings.of(self._config))).is_dir():
                with contextlib.suppress(OSError):  # samples of an audit whose checks an interruption kept from us
                    folder.rmdir()  # made to see whether it can be written, and still empty
            return
        from llmaudit.pytest_plugin.ci import write_step_summary  # noqa: PLC0415 - likewise
        from llmaudit.pytest_plugin.writing import write_run  # noqa: PLC0415 - likewise

        folder = run_folder(self._config, options.Settings.of(self._config))
        try:
            self.run = self._assemble()
            self.report = write_run(self.run, folder)
            self.problem = write_step_summary(self.run)
            if options.Settings.of(self._config).baseline_update:
                self.accepted = accept_run(self.run, folder, self._config, options.Settings.of(self._config))
        except Exception as error:  # noqa: BLE001 - whatever it is, the verdicts must still reach the terminal
            self.problem = str(error) if self.report else f"the report could not be written: {error}"
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """Give a verdict its own word where pytest's would be wrong."""
        data = getattr(report, "llmaudit", None)
        if data is None or report.when != "call" or hasattr(report, "wasxfail"):
            return None
        from llmaudit.pytest_plugin.terminal import status_words  # noqa: PLC0415 - needed with records only

        return status_words(data["record"])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """One section with every verdict and the place of the report."""
        if self._gate is not None:
            return
        if self.run is not None:
            from llmaudit.pytest_plugin.ci import github_annotations  # noqa: PLC0415 - needed with records only
            from llmaudit.pytest_plugin.terminal import summarise  # noqa: PLC0415 - likewise

            summarise(terminalreporter, self.run, self.report)
            if self.accepted is not None:
                terminalreporter.write_line(f"accepted as the baseline: {os.path.relpath(self.accepted)}")
            for command in github_annotations(self.run, self._places):
                terminalreporter.write_line(command)
        if self.problem:
            terminalreporter.write_line(self.problem, red=True)

    def pytest_unconfigure(self) -> None:
        """Ten lines, where they are asked for: after everybody else has had a say about the exit status."""
        if self._gate is None or self._session is None:
            return
        if self.run is None:
            self._gate.give_up()
        else:
            from llmaudit.pytest_plugin.ci import github_annotations  # noqa: PLC0415 - needed with records only

            self._gate.conclude(self.run, self.report, self._session.exitstatus)
            if self.accepted is not None:
                self._gate.write_line(f"accepted as the baseline: {os.path.relpath(self.accepted)}")
            for command in github_annotations(self.run, self._places):
                self._gate.write_line(command)
        if self.problem:
            self._gate.write_line(self.problem)

    def _header(self, suites: int) -> list[str]:
        if not suites:
            return []
        from llmaudit.pytest_plugin.terminal import header  # noqa: PLC0415 - needed with suites only

        remark = options.left_out(self._config)
        return [*header(options.Settings.of(self._config), suites, self._workers), *([remark] if remark else [])]

    def _prepare(self, ids: list[str]) -> None:
        self._plan = ids
        if not self._plan:
            return
        from llmaudit.pytest_plugin.waiving import check_waivers  # noqa: PLC0415 - needed with suites only

        settings = options.Settings.of(self._config)
        check_waivers(self._config, settings, [self._config.rootpath / file for file in _files(ids)])
        if self._config.option.collectonly:
            return
        _check_model(self._config, settings)
        check_baseline(self._config, settings)
        if settings.plan is not None:
            return
        _check_writable(run_folder(self._config, settings))

    def _assemble(self) -> Run:
        from pydantic import TypeAdapter  # noqa: PLC0415 - needed with records only

        from llmaudit import run  # noqa: PLC0415 - likewise
        from llmaudit.attempts import with_attempts  # noqa: PLC0415 - likewise
        from llmaudit.environment import describe  # noqa: PLC0415 - likewise
        from llmaudit.families import adjust_p_values, family_records  # noqa: PLC0415 - likewise

        settings = options.Settings.of(self._config)
        data = {
            "schema_version": run.SCHEMA_VERSION,
            "run_id": uuid.uuid4().hex[:12],
            "started": self.started,
            "finished": _now(),
            "llmaudit_version": _version(),
            "model": self._model,
            "environment": describe(self._config.invocation_params.args, self._config.rootpath),
            "seed": settings.seed,
            "smoke": settings.smoke,
            "complete": set(self._plan) == set(self._records),
            "suites": [self._suites[file] for file in _files(self._plan) if file in self._suites],
            "plan": self._plan,
            "audits": sorted(self._audits.values(), key=lambda audit: audit["order"]),
            "notes": list(self._notes),
            "baseline": self._baseline,
            "records": sorted(self._records.values(), key=lambda record: record["order"]),
        }
        assembled = TypeAdapter(run.Run).validate_python(data)
        records = adjust_p_values(assembled.records)
        whole = replace(assembled, records=records, families=family_records(assembled.suites, records))
        return with_attempts(whole, run_folder(self._config, settings).parents[1])


def started_at(config: pytest.Config) -> str:
    """When the session started, ISO 8601: the same in the controller and in its workers."""
    if hasattr(config, "workerinput"):
        return str(config.workerinput["llmaudit_started"])
    recorder: Any = config.pluginmanager.getplugin("llmaudit-recorder")
    return str(recorder.started)


def _undecidable(items: list[pytest.Item]) -> list[str]:
    """Say, before a minute is spent, which checks no answer could decide."""
    found = [(item, problem) for item in items if (problem := getattr(item, "design_problem", None))]
    return [f"llmaudit: {_short(item)} cannot be decided: {problem}" for item, problem in found]


def _short(item: pytest.Item) -> str:
    return f"{item.parent.name}::{item.name}" if item.parent else item.name


def run_folder(config: pytest.Config, settings: options.Settings) -> Path:
    """The folder of this run: reports/<model>/<start>."""
    name = settings.model or "model"
    name = Path(name).expanduser().resolve().name if _is_path(settings.model) else name
    slug = re.sub(r"[^\w.-]+", "--", name.removesuffix(".gguf")).strip("-") or "model"
    start = re.sub(r"[^\dT-]", "-", started_at(config).partition("+")[0])
    return Path(config.invocation_params.dir, settings.report_dir, slug, start)


def _files(plan: list[str]) -> list[str]:
    return list(dict.fromkeys(nodeid.partition("::")[0] for nodeid in plan))


def _is_suite(path: Path) -> bool:
    return path.name.endswith(_SUITE_SUFFIX)


def _is_path(model: str | None) -> bool:
    return bool(model) and (str(model).endswith(".gguf") or Path(str(model)).exists())


def _check_model(config: pytest.Config, settings: options.Settings) -> None:
    if settings.model is None:
        raise pytest.UsageError(
            "no model to audit: say --model NAME (--model smollm2-135m-instruct is the small default of the shipped"
            " suites), set LLMAUDIT_MODEL, or llmaudit_model in the ini file"
        )
    from llmaudit.engines.build import ENGINES  # noqa: PLC0415 - needed with suites only

    if settings.engine in {"fake", "openai"} or settings.engine not in ENGINES:  # they take any name
        return  # an engine of another plugin may name its models as it likes
    from llmaudit.engines.models import resolve  # noqa: PLC0415 - needed with suites only
    from llmaudit.errors import ModelError  # noqa: PLC0415 - likewise
    from llmaudit.projects import project_aliases  # noqa: PLC0415 - likewise

    try:
        resolve(settings.model, project_aliases(config.rootpath))
    except ModelError as error:
        raise pytest.UsageError(str(error)) from None


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise pytest.UsageError(
            f"the report folder {folder} cannot be written ({error.strerror}); choose another with --report-dir"
        ) from None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - needed with records only

    return version("llmaudit")
