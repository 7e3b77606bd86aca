"""`--plan`: what a session would cost and could tell; nothing is run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from llmaudit.cachedir import store_path
from llmaudit.earlier import earlier_runs
from llmaudit.engines.base import Engine, EngineOptions
from llmaudit.engines.build import build_tokenizer
from llmaudit.errors import LLMAuditError, ModelError
from llmaudit.planning.calibration import calibrate
from llmaudit.planning.foreseen import Foreseen
from llmaudit.planning.memory import Memory, foreseen_memory
from llmaudit.planning.plan import Chosen, Plan, Planner, Price
from llmaudit.planning.rates import Rates, measured_rates
from llmaudit.planning.words import plan_lines
from llmaudit.pytest_plugin.options import Settings
from llmaudit.pytest_plugin.session import AuditSession, session_of
from llmaudit.pytest_plugin.suite_nodes import AuditNode, CheckItem
from llmaudit.records import to_plain
from llmaudit.run import Run
from llmaudit.store import ResponseStore, fingerprint
from llmaudit.types import Request

__all__ = ["show_plan"]

_PRICE = re.compile(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)(?: *([^\d\s]\S*))?")


def show_plan(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Write the plan of the checks that were collected. Raises UsageError where a model or a price is wrong."""
    try:
        plan = _plan(config, [item for item in items if isinstance(item, CheckItem)])
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
