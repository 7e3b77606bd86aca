"""The GitHub Action and the GitLab template: that they are well-formed and that what they call is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

_ROOT = Path(__file__).parents[2]
_ACTION = _ROOT / "action.yml"
_GITLAB = _ROOT / "ci" / "gitlab" / "llmaudit.gitlab-ci.yml"

#: What the two files define for themselves; every other LLMAUDIT_ name must be one of the plugin's.
_OWN = re.compile(r"LLMAUDIT_(ACTION_\w+|PACKAGE|SUITES|ARGUMENTS)")
#: Stands in for python, and notes what it was called with.
_STUB = '#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\necho "gate-only $LLMAUDIT_GATE_ONLY" >&2\n'


def load(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The variables and the options that the plugin reads, as pytest's help shows them."""
    helped = subprocess.run(
        [sys.executable, "-m", "pytest", "--help", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        check=True,
        cwd=_ROOT,
        env={**os.environ, "COLUMNS": "200"},
    )
    options = set(re.findall(r"--[a-z][a-z-]+", helped.stdout))
    variables = {f"LLMAUDIT_{option[2:].upper().replace('-', '_')}" for option in options}
    return options | variables | {"LLMAUDIT_CACHE"}


@pytest.fixture
def step() -> dict[str, Any]:
    (found,) = [step for step in load(_ACTION)["runs"]["steps"] if step.get("id") == "audit"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("path", [_ACTION, _GITLAB], ids=lambda path: path.name)
def test_options_and_variables_exist(path: Path, known: set[str]) -> None:
    text = re.sub(r"^\s*#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    commands = "\n".join(line for line in text.splitlines() if "pytest" in line or "`" in line)
    options = set(re.findall(r"(?<!\S)`?(--[a-z][a-z-]+)", commands))
    assert "--junit-xml" in options
    assert options <= known
    variables = {name for name in re.findall(r"LLMAUDIT_\w+", text) if not _OWN.fullmatch(name)}
    assert variables >= {"LLMAUDIT_REPORT_DIR", "LLMAUDIT_GATE_ONLY"}
    assert variables <= known


def test_the_action_is_a_composite_one() -> None:
    action = load(_ACTION)
    assert action["runs"]["using"] == "composite"
    for step in action["runs"]["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert "run" not in step or step["shell"] == "bash"
        assert "uses" not in step or re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])


def test_every_input_is_described_declared_and_used() -> None:
    action, text = load(_ACTION), _ACTION.read_text(encoding="utf-8")
    used = set(re.findall(r"\binputs\.([\w-]+)", text))
    assert used == set(action["inputs"])
    assert all(given["description"] for given in action["inputs"].values())
    assert all(given.get("required") or "default" in given for given in action["inputs"].values())
    steps = {step["id"] for step in action["runs"]["steps"] if "id" in step}
    assert set(re.findall(r"\bsteps\.(\w+)\.", text)) <= steps


def test_nothing_from_outside_becomes_text_of_a_script() -> None:
    for step in load(_ACTION)["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_the_script_of_the_action_calls_pytest(tmp_path: Path, step: dict[str, Any]) -> None:
    """Run with a stub for python: suites and arguments are split at spaces, and nothing in them is evaluated."""
    stub = tmp_path / "python"
    stub.write_text(_STUB)
    stub.chmod(0o755)
    given = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "LLMAUDIT_REPORT_DIR": "out/reports",
        "LLMAUDIT_GATE_ONLY": "1",
        "LLMAUDIT_ACTION_SUITES": "suites more/a.audit.yaml",
        "LLMAUDIT_ACTION_ARGUMENTS": "--seed 3 $(touch owned) ; touch owned",
    }
    assert set(step["env"]) == {name for name in given if name.startswith("LLMAUDIT_")} | {
        "LLMAUDIT_MODEL",
        "LLMAUDIT_BASELINE",
    }
    found = _bash(step["run"], given, tmp_path)
    assert re.findall("<(.*)>", found.stdout) == [
        *("-m", "pytest", "suites", "more/a.audit.yaml", "--junit-xml", "out/reports/junit.xml"),
        *("--seed", "3", "$(touch", "owned)", ";", "touch", "owned"),
    ]
    assert not (tmp_path / "owned").exists()
    assert (tmp_path / "output").read_text() == "report=out/reports\n"
    given["LLMAUDIT_ACTION_ARGUMENTS"] = ""
    assert _bash(step["run"], given, tmp_path).stdout.endswith("<out/reports/junit.xml>\n")


@pytest.mark.parametrize(("wanted", "expected"), [("", ["/action"]), ("llmaudit[quantization] a", None)])
def test_the_action_installs_itself_or_what_is_asked_for(
    tmp_path: Path, wanted: str, expected: list[str] | None
) -> None:
    (step,) = [step for step in load(_ACTION)["runs"]["steps"] if "LLMAUDIT_ACTION_INSTALL" in step.get("env", {})]
    stub = tmp_path / "python"
    stub.write_text(_STUB)
    stub.chmod(0o755)
    given = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "GITHUB_ACTION_PATH": "/action",
        "LLMAUDIT_ACTION_INSTALL": wanted,
    }
    words = re.findall("<(.*)>", _bash(step["run"], given, tmp_path).stdout)
    assert words == ["-m", "pip", "install", *(expected or wanted.split())]


def test_the_gitlab_template() -> None:
    (job,) = load(_GITLAB).values()
    text = _GITLAB.read_text(encoding="utf-8")
    used = set(re.findall(r"\$(\w+)", text)) - {"CI_PROJECT_DIR"}
    assert used <= set(job["variables"])
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"]["junit"] in job["script"][0].replace('"', "")
    cached = [value for value in job["variables"].values() if value.startswith("$CI_PROJECT_DIR/")]
    assert len(cached) == 3
    assert all(value.startswith("$CI_PROJECT_DIR/.cache/") for value in cached), "what is cached lies in the project"
    assert job["cache"]["paths"] == [".cache/"]


def test_the_documented_package_survives_the_shell() -> None:
    # The template leaves the variable unquoted, so that it may hold several words.
    page = (_ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (wanted,) = re.findall(r"LLMAUDIT_PACKAGE: (.*)", page)
    (job,) = load(_GITLAB).values()
    assert job["before_script"] == ["python -m pip install $LLMAUDIT_PACKAGE"]
    assert len(wanted.strip('"').split()) == 1, "pip takes the words around an @ for requirements of their own"


def _bash(script: str, variables: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as GitHub's runner does."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=variables,
    )
