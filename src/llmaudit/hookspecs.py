"""The hooks of llmaudit. Implement them in a plugin, in a module given with -p, or in a conftest.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from llmaudit.audit import Audit
    from llmaudit.engines.base import Engine, EngineOptions
    from llmaudit.scorers.base import Scorer

__all__ = [
    "pytest_llmaudit_audits",
    "pytest_llmaudit_make_engine",
    "pytest_llmaudit_record",
    "pytest_llmaudit_scorers",
]


@pytest.hookspec
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:  # type: ignore[empty-body]  # a specification has no body
    """Return the audit kinds that this plugin provides.

    Called for every suite file, so that a conftest.py beside it can answer. All answers are collected; two kinds of one
    name are an error that names both. A kind is one class::

        class Shout(llmaudit.Audit[Params]):
            "How loud are the answers?"
            kind = "shout"
            ...

        @pytest.hookimpl
        def pytest_llmaudit_audits():
            return [Shout]
    """


@pytest.hookspec
def pytest_llmaudit_scorers() -> Sequence[Scorer]:  # type: ignore[empty-body]  # a specification has no body
    """Return the scorers that this plugin provides: objects with a name, a version and `score(texts) -> numbers`.

    Called for every suite file, so that a conftest.py beside it can answer. All answers are collected; a suite names a
    scorer by its `name`. One that also has a `validation` (llmaudit.Validation; the protocol is llmaudit.Validated) has
    it printed in every report that uses it; the others are called not validated.
    """


@pytest.hookspec(firstresult=True)
def pytest_llmaudit_make_engine(options: EngineOptions) -> Engine | None:
    """Return the engine that answers this session's requests, or None to leave it to the next plugin.

    Called once per process, when the first selected audit starts, so that nothing is loaded for --collect-only. The
    built-in engines come last. Raise llmaudit.ModelError for a model that cannot be had: its message reaches the user
    without a traceback.
    """


@pytest.hookspec
def pytest_llmaudit_record(record: dict[str, Any]) -> None:
    """Take note of one finished check: the plain data that run.json will hold for it.

    Called once per check, in the process that writes the report.
    """
