"""The command `llmaudit`: a user's mistake is one line, and what it prints is what was meant."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmaudit.cli import main
from llmaudit.store import ResponseStore
from llmaudit.types import Completion, Generate

Command = Callable[..., tuple[str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMAUDIT_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["llmaudit", *arguments])
        with pytest.raises(SystemExit):
            main()
        captured = capsys.readouterr()
        return captured.out, captured.err

    return run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("init", "taken"), "taken: File exists"),
        (("init", "taken/suites"), "taken/suites: Not a directory"),
        (("schema", "--output", "nowhere/schema.json"), "nowhere/schema.json: No such file or directory"),
        (("report", "nowhere"), "nowhere: there is no run here; give the folder of a run or its run.json"),
    ],
)
def test_a_path_that_cannot_be_used_is_one_line(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "taken").touch()
    assert command(*arguments) == ("", f"llmaudit: {words}\n")


def test_nothing_is_forgotten_from_the_future(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "responses.sqlite3"
    store = ResponseStore(path)
    store.put("model", "tiny", Generate("p", "c"), Completion("x", 1, "stop", "p"))
    store.close()
    _, errors = command("cache", "--prune", "-1")
    assert "--prune" in errors
    assert "1 responses" in command("cache")[0]


def test_brackets_and_colons_of_a_path_are_printed_as_they_are(command: Command) -> None:
    printed, _ = command("init", r"a[bold]\[:warning:")
    assert r"a[bold]\[:warning:/README.md" in printed.splitlines()


def test_the_doctor_says_what_a_model_needs_before_it_loads_it(command: Command, tmp_path: Path) -> None:
    printed, _ = command("doctor", "openai:tiny", "nosuch")
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert "memory n/a: the model runs elsewhere" in lines
    assert lines.index("openai:tiny, before it is loaded") < lines.index("openai:tiny")
    assert "nosuch" not in lines, "what cannot be is not tried"
    assert sum("no model 'nosuch'" in line for line in lines) == 1
