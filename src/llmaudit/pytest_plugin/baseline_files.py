"""The baseline as files: found before anything runs, accepted at the end. Light until there is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from llmaudit.pytest_plugin.options import Settings
    from llmaudit.run import Run

__all__ = ["accept_run", "baseline_run", "check_baseline"]

_RUN = pytest.StashKey["Run"]()
_MODEL = "model:"


def baseline_run(config: pytest.Config, settings: Settings) -> Run:
    """Load the run that `--baseline` names, once. Raises UsageError where it cannot be used."""
    from llmaudit.errors import RunError  # noqa: PLC0415 - needed with a baseline only
    from llmaudit.gate import find_baseline  # noqa: PLC0415 - likewise

    if _RUN not in config.stash:
        start = Path(config.invocation_params.dir)
        try:
            config.stash[_RUN] = find_baseline(
                settings.baseline or "", start=start, reports=start / settings.report_dir
            )
        except RunError as error:
            raise pytest.UsageError(f"--baseline {settings.baseline}: {error}") from None
    return config.stash[_RUN]


def check_baseline(config: pytest.Config, settings: Settings) -> None:
    """Refuse, before anything runs, a baseline that could only fail afterwards. Raises UsageError."""
    if settings.baseline_update and settings.smoke:
        raise pytest.UsageError("--baseline-update: a smoke run measures nothing that could be a baseline")
    if settings.allow_unlike and settings.baseline is None:
        raise pytest.UsageError("--allow-unlike: there is no --baseline to be unlike")
    if settings.baseline is None:
        return
    if not settings.baseline.startswith(_MODEL):
        baseline_run(config, settings)
        return
    name = settings.baseline.removeprefix(_MODEL)
    if not name:
        raise pytest.UsageError("--baseline model: names no model; say --baseline model:NAME")
    if config.pluginmanager.hasplugin("dsession"):
        raise pytest.UsageError(
            f"--baseline {settings.baseline}: workers share no model that runs first; audit it by itself with --model"
            f" {name}, then name that run: --baseline latest"
        )


def accept_run(run: Run, folder: Path, config: pytest.Config, settings: Settings) -> Path:
    """Make a run that was written to a folder the accepted baseline; returns where. Raises RunError."""
    from llmaudit.gate import accept  # noqa: PLC0415 - needed with --baseline-update only

    return accept(replace(run, folder=folder), Path(config.invocation_params.dir) / settings.report_dir)
