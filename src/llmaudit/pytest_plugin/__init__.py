"""The pytest plugin. pytest imports it in every session, so nothing heavy is imported until a suite is collected."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llmaudit.pytest_plugin import options
from llmaudit.pytest_plugin.recorder import Recorder

if TYPE_CHECKING:
    from llmaudit.engines.base import Engine, EngineOptions

__all__: list[str] = []

_SUITE_SUFFIX = ".audit.yaml"
_DESIGN_SUFFIX = ".design.yaml"
#: The built-in kinds; markers must be known before a suite is collected, and importing the kinds is not cheap.
_MARKERS = {
    "anatomy": "audits of what a model is made of, and how it looks at sentences",
    "association": "audits of how close words lie to each other inside the model",
    "bias": "audits that compare groups in open generation",
    "content": "audits of how often an answer has the content of a codebook",
    "diversity": "audits of what the temperature does to the variety of answers",
    "fidelity": "audits of what another form of a model loses",
    "next_token": "audits that compare groups by the distribution of the next word",
    "pairs": "audits of which of two sentences a model finds more likely",
    "performance": "audits of how fast a model is and what memory it takes",
    "steering": "audits of whether a model can be steered, and what it costs",
    "tokenization": "audits of what a text costs in tokens",
}
_left_out: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --model and its companions."""
    _left_out[:] = options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks that other plugins extend llmaudit by."""
    from llmaudit import hookspecs  # noqa: PLC0415 - as the module docstring says

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and in the process that reports, the recorder."""
    config.stash[options.LEFT_OUT] = list(_left_out)
    for name, description in _MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {description}")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(config), "llmaudit-recorder")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, Any, Any]:
    """Let a plan be made in this process, and be all that is written where it is JSON."""
    form = config.getoption("llmaudit_plan")
    if form is not None:
        # Workers would collect in its place; their options are those of pytest-xdist, which may not be there.
        vars(config.option).update({"numprocesses": None, "dist": "no", "tx": []})
    if form == "json":
        vars(config.option).update({"verbose": -2, "no_header": True})
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Say what a run would be, in place of running; where a suite cannot be read, pytest stops as ever."""
    if session.config.getoption("llmaudit_plan") is None or session.testsfailed:
        return None
    from llmaudit.pytest_plugin.planning import show_plan  # noqa: PLC0415 - as the module docstring says

    show_plan(session.config, session.items)
    return True


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a suite; for a plan, a design too."""
    design = file_path.name.endswith(_DESIGN_SUFFIX) and parent.config.getoption("llmaudit_plan") is not None
    if not file_path.name.endswith(_SUITE_SUFFIX) and not design:
        return None
    from llmaudit.pytest_plugin import suite_nodes  # noqa: PLC0415 - as the module docstring says
    from llmaudit.pytest_plugin.session import activate  # noqa: PLC0415 - likewise

    try:
        activate(parent.config, suite_nodes)
    except pytest.UsageError as error:
        # pytest would show a traceback of it: while it collects, only a CollectError is a plain message.
        raise parent.CollectError(str(error)) from None
    if design:
        from llmaudit.pytest_plugin.design_nodes import DesignFile  # noqa: PLC0415 - likewise

        return DesignFile.from_parent(parent, path=file_path)
    return suite_nodes.SuiteFile.from_parent(parent, path=file_path)


@pytest.hookimpl(trylast=True)
def pytest_llmaudit_make_engine(options: EngineOptions) -> Engine | None:
    """Offer the built-in engines, after everybody else's."""
    from llmaudit.engines.build import build_engine  # noqa: PLC0415 - as the module docstring says

    return build_engine(options)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the checks of an audit on one worker: their batch runs once, in the audit's setup."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only where xdist is

    return LoadScopeScheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker which run it belongs to: options that the controller decided do not reach it otherwise."""
    node.workerinput["llmaudit_started"] = node.config.pluginmanager.getplugin("llmaudit-recorder").started
