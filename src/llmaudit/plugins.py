"""The kinds and scorers that a command outside pytest knows: the built-in ones and those of installed plugins."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from typing import Any

import pluggy

from llmaudit import hookspecs
from llmaudit.audit import Audit
from llmaudit.audits import (
    anatomy,
    association,
    bias,
    content,
    diversity,
    fidelity,
    next_token,
    pairs,
    performance,
    steering,
    tokenization,
)
from llmaudit.scorers import answers, regard, sentiment, toxicity

__all__ = ["BUILT_IN", "installed_kinds"]

#: Modules whose hooks offer the built-in kinds and scorers.
BUILT_IN = (
    anatomy,
    association,
    bias,
    content,
    diversity,
    fidelity,
    next_token,
    pairs,
    performance,
    steering,
    tokenization,
    sentiment,
    answers,
    toxicity,
    regard,
)


def installed_kinds() -> dict[str, type[Audit[Any]]]:
    """Return every kind by name, from llmaudit and from installed pytest plugins that require it."""
    manager = pluggy.PluginManager("pytest")
    manager.add_hookspecs(hookspecs)
    for module in BUILT_IN:
        manager.register(module)
    for plugin in _third_parties():
        if not manager.is_registered(plugin):
            manager.register(plugin)
    return {kind.kind: kind for kinds in reversed(manager.hook.pytest_llmaudit_audits()) for kind in kinds}


def _third_parties() -> list[Any]:
    """Load the pytest plugins of distributions that require llmaudit: no other can offer a kind."""
    return [
        entry.load()
        for distribution in distributions()
        if any(re.match(r"llmaudit\b", requirement) for requirement in distribution.requires or ())
        for entry in distribution.entry_points.select(group="pytest11")
    ]
