"""`--plan`: what a session would cost and could tell; nothing is run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from llmaudit.cachedir import store_path
from llmaudit.earlier import earlier_runs, same_form
from llmaudit.engines.base import Engine, EngineOptions
from llmaudit.engines.build import build_tokenizer
from llmaudit.engines.fake import FakeEngine
from llmaudit.errors import LLMAuditError, ModelError
from llmaudit.gate import MODEL_PREFIX
from llmaudit.planning.calibration import calibrate
from llmaudit.planning.designs import Design, plan_design
from llmaudit.planning.foreseen import Foreseen
from llmaudit.planning.memory import Memory, foreseen_memory
from llmaudit.planning.plan import AuditPlan, Chosen, Plan, Planner, Price
from llmaudit.planning.rates import UNMEASURED, Rates, measured_rates
from llmaudit.planning.words import plan_lines
from llmaudit.pytest_plugin.baseline_files import baseline_run
from llmaudit.pytest_plugin.design_nodes import DesignItem
from llmaudit.pytest_plugin.options import Settings
from llmaudit.pytest_plugin.recorder import run_folder
from llmaudit.pytest_plugin.session import AuditSession, session_of
from llmaudit.pytest_plugin.suite_nodes import AuditNode, CheckItem
from llmaudit.records import to_plain
from llmaudit.run import Run
from llmaudit.store import ResponseStore, fingerprint
from llmaudit.types import Generate, Request, Score

__all__ = ["show_plan"]

_PRICE = re.compile(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)(?: *([^\d\s]\S*))?")


def show_plan(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Write the plan of the checks and designs that were collected. Raises UsageError for a wrong model or price."""
    checks = [item for item in items if isinstance(item, CheckItem)]
    designs = [item.design for item in items if isinstance(item, DesignItem)]
    if not checks and not designs:
        return
    try:
        plan = _plan(config, session_of(config), checks, designs)
    except LLMAuditError as error:
        raise pytest.UsageError(str(error)) from None
    terminal: Any = config.pluginmanager.getplugin("terminalreporter")
    if session_of(config).settings.plan == "json":
        lines: Iterator[str] = iter([json.dumps(to_plain(plan.plain()), ensure_ascii=False, indent=1)])
    else:
        terminal.section("llmaudit plan: nothing is run", sep="=", cyan=True)
        lines = plan_lines(plan)
    for line in lines:
        terminal.write_line(line)


def _plan(config: pytest.Config, state: AuditSession, items: Sequence[CheckItem], designs: Sequence[Design]) -> Plan:
    settings, options = state.settings, state.options()
    notes: list[str] = []
    own, others = _earlier(state) if settings.model else ([], [])
    price = _price(settings.price)
    rates, memory = measured_rates(own), None
    audits: list[AuditPlan] = []
    if items:
        chosen = _chosen(items)
        planner = Planner(_tokenizer(options, notes), own, others, price=price, smoke=settings.smoke)
        planner.baseline = _baseline(config, settings, notes)
        foreseen = planner.foresee(chosen)
        rates = planner.rates = _rates(state, rates, foreseen, notes)
        planner.stored = _stored(state, own)
        audits += planner.plan(chosen, foreseen)
        memory = _memory(options, max(audit.work.longest for audit in audits), notes)
    audits += [plan_design(design, rates, price) for design in designs]
    currency = price.currency if price else ""
    return Plan(settings.model or "", rates.source, tuple(audits), memory, currency, tuple(notes))


def _chosen(items: Sequence[CheckItem]) -> list[Chosen]:
    """The audits of the checks, each with those that were selected."""
    checks: dict[AuditNode, list[CheckItem]] = {}
    for item in items:
        checks.setdefault(item.parent, []).append(item)
    return [Chosen(node.suite, node.entry, tuple(item.check for item in own)) for node, own in checks.items()]


def _tokenizer(options: EngineOptions, notes: list[str]) -> Engine:
    """The model's own tokenizer; of a model whose files are not here, words and signs stand for tokens."""
    try:
        return build_tokenizer(options)
    except ModelError as error:
        if not options.model.startswith("openai:"):
            raise
        notes.append(f"Tokens are words and signs, about three quarters as many: {error}")
        return FakeEngine()


def _earlier(state: AuditSession) -> tuple[list[Run], list[Run]]:
    """Earlier runs of this model in this form, and of any other."""
    folder = state.folder.parent
    own: list[Run] = []
    others: list[Run] = []
    for run in earlier_runs(folder.parent, folder.name):
        (own if _same_form(run, state.settings) else others).append(run)
    return own, [*others, *earlier_runs(folder.parent, but=folder.name)]


def _same_form(run: Run, settings: Settings) -> bool:
    return run.model is not None and same_form(
        run.model, quantization=settings.quantization, dtype=settings.dtype, device=settings.device
    )


def _baseline(config: pytest.Config, settings: Settings, notes: list[str]) -> Run | None:
    """The run that margins will be judged against; of `model:NAME`, the newest one that is there."""
    if settings.baseline is None or settings.smoke:
        return None
    if not settings.baseline.startswith(MODEL_PREFIX):
        return baseline_run(config, settings)
    name = settings.baseline.removeprefix(MODEL_PREFIX)
    folder = run_folder(config, replace(settings, model=name)).parent
    for run in earlier_runs(folder.parent, folder.name):
        if not run.smoke and run.model is not None and same_form(run.model, quantization=None, dtype=settings.dtype):
            return run
    notes.append(f"The baseline {name} has not been run yet, and will be run first: what that costs is not counted.")
    return None


def _rates(state: AuditSession, rates: Rates, foreseen: Sequence[Foreseen], notes: list[str]) -> Rates:
    """Rates of earlier runs; where these lack one that is needed, of a calibration."""
    requests = [request for each in foreseen for request in each.requests]
    if _covers(rates, requests):
        return rates
    if state.settings.no_calibration:
        notes.append("No calibration was made: minutes that no earlier run measured are not known.")
        return rates
    if state.options().model.startswith("openai:") or state.settings.engine == "openai":
        notes.append("A server is not calibrated, as its answers may cost money.")
        return rates
    found = calibrate(state.engine(), requests)
    return Rates(
        rates.generated or found.generated,
        rates.scored or found.scored,
        rates.other or found.other,
        found.source if rates.source == UNMEASURED else f"{rates.source}, else {found.source}",
        rates.paces,
    )


def _covers(rates: Rates, requests: Sequence[Request]) -> bool:
    kinds = {type(request) for request in requests}
    needed = [rates.generated] if Generate in kinds else []
    needed += [rates.scored] if Score in kinds else []
    needed += [rates.other] if kinds - {Generate, Score} else []
    return all(needed)


def _stored(state: AuditSession, own: Sequence[Run]) -> Callable[[Sequence[Request]], int] | None:
    """A way to count what the store answers already, where the model's fingerprint is known from an earlier run."""
    info = own[0].model if own else None
    model = fingerprint(info, state.settings.seed) if info is not None else None
    if model is None or state.settings.no_cache or not store_path().is_file():
        return None

    def count(requests: Sequence[Request]) -> int:
        store = ResponseStore(store_path())
        try:
            return store.count(model, requests)
        finally:
            store.close()

    return count


def _memory(options: EngineOptions, longest: int, notes: list[str]) -> Memory | None:
    if options.engine == "fake" or options.model.startswith("openai:"):
        return None
    from llmaudit.engines.hf.headers import form_of, read_headers  # noqa: PLC0415 - as build_engine does

    try:
        headers = read_headers(options)
        dtype, rows = form_of(options, headers)
    except ModelError as error:
        notes.append(f"The memory is not known: {error}")
        return None
    return foreseen_memory(headers, dtype, options.quantization, batch=rows, longest=longest)


def _price(text: str | None) -> Price | None:
    if text is None:
        return None
    found = _PRICE.fullmatch(text.strip())
    if found is None:
        raise pytest.UsageError(
            f"--price {text}: expected input/output per million tokens, as 0.15/0.60 or 0.15/0.60 EUR"
        )
    return Price(float(found[1]), float(found[2]), found[3] or "")
