"""The file of waivers of a session: which it is, and whether it fits the suites."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from llmaudit.errors import SuiteError
from llmaudit.pytest_plugin.options import Settings
from llmaudit.suite import Waivers, read_suite_name, read_waivers

__all__ = ["check_waivers", "session_waivers"]

_DEFAULT = "waivers.yaml"
_SUITES = "*.audit.yaml"


def session_waivers(config: pytest.Config, settings: Settings) -> Waivers | None:
    """Read --waivers, else waivers.yaml at the root of the project if it is there. Raises SuiteError."""
    if settings.waivers is not None:
        path = Path(config.invocation_params.dir, settings.waivers)
    else:
        path = config.rootpath / _DEFAULT
        if not path.is_file():
            return None
    near = Path(os.path.relpath(path, config.invocation_params.dir))
    return read_waivers(path if near.parts[:1] == ("..",) else near)


def check_waivers(config: pytest.Config, settings: Settings, files: Iterable[Path]) -> None:
    """Refuse, before anything runs, a file of waivers that has mistakes or names a suite that is nowhere.

    `files` are the suites of the session. Those that it left out are looked for only where a waiver names one: below
    the root of the project and below what the command line names. Raises UsageError.
    """
    try:
        waivers = session_waivers(config, settings)
        if waivers is None:
            return
        names = _names(files)
        if waivers.strangers(names):
            waivers.refuse_strangers([*names, *(name for name in _names(_all_suites(config)) if name not in names)])
    except SuiteError as error:
        raise pytest.UsageError(str(error)) from None


def _names(files: Iterable[Path]) -> list[str]:
    return list(dict.fromkeys(name for file in files if (name := read_suite_name(file)) is not None))


def _all_suites(config: pytest.Config) -> Iterator[Path]:
    passed_over = config.getini("norecursedirs")
    given = (Path(config.invocation_params.dir, argument.partition("::")[0]) for argument in config.args)
    for root in dict.fromkeys([config.rootpath, *(path if path.is_dir() else path.parent for path in given)]):
        for folder, below, names in os.walk(root):
            below[:] = sorted(name for name in below if not any(fnmatch.fnmatch(name, odd) for odd in passed_over))
            yield from (Path(folder, name) for name in sorted(fnmatch.filter(names, _SUITES)))
