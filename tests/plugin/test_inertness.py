"""Where no suite is collected, the plugin is not there: whoever installs it does not notice in other projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_HEAVY = (
    *("torch", "transformers", "numpy", "pandas", "pydantic", "scipy", "statsmodels", "matplotlib", "yaml"),
    *("jinja2", "psutil", "httpx", "httpx2", "sqlite3", "vaderSentiment"),
)

_CONFTEST = f"""\
import socket
import sys


class Refused(socket.socket):
    def __init__(self, *arguments, **options):
        raise AssertionError("a socket was opened")


socket.socket = Refused
BEFORE = set(sys.modules)


def pytest_unconfigure():
    found = sorted(set(sys.modules) & set({_HEAVY!r}))
    ours = sorted(name for name in sys.modules if name.split(".")[0] == "llmaudit")
    with open("imported.txt", "w") as stream:
        stream.write("\\n".join([*found, *ours]))
"""


def test_a_project_without_suites(project: Project) -> None:
    project.file("conftest.py", _CONFTEST)
    project.file("test_plain.py", "def test_plain():\n    assert True\n")
    project.file("data.yaml", "a: 1\n")
    project.options[:2] = []
    result = project.spawn()
    assert result.ret == pytest.ExitCode.OK
    words = [line for line in result.outlines if "llmaudit" in line.lower() and not line.startswith("plugins: ")]
    # The folder of the test may be called after this test file, never after the plugin.
    assert words == []
    assert result.errlines == []
    imported = (project.path / "imported.txt").read_text().splitlines()
    assert [name for name in imported if not name.startswith("llmaudit")] == []
    assert imported == [
        "llmaudit",
        "llmaudit.hookspecs",
        "llmaudit.pytest_plugin",
        "llmaudit.pytest_plugin.baseline_files",
        "llmaudit.pytest_plugin.options",
        "llmaudit.pytest_plugin.recorder",
    ]
    assert not (project.path / "reports").exists()


def test_a_model_in_the_environment_is_no_reason_to_wake_up(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMAUDIT_MODEL", "nonesuch")
    project.file("test_plain.py", "def test_plain():\n    assert True\n")
    project.options[:2] = []
    result = project.run()
    result.assert_outcomes(passed=1)
    assert "llmaudit" not in result.stdout.str().replace("plugins: llmaudit", "")
    assert project.loads == []


def test_junit_and_failures_of_other_tests_are_untouched(project: Project) -> None:
    project.file("test_plain.py", "def test_plain():\n    assert 1 == 2\n")
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E   *assert 1 == 2", "FAILED test_plain.py::test_plain - assert 1 == 2"])
    result.stdout.no_fnmatch_line("*= llmaudit =*")
