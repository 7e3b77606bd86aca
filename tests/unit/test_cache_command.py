"""`llmaudit cache`: what is stored, shown and pruned, whatever state the file is in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmaudit.cli import main
from llmaudit.store import ResponseStore
from llmaudit.types import Completion, Generate

Command = Callable[..., tuple[list[str], str]]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMAUDIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "responses.sqlite3"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: Path) -> Command:
    def run(*arguments: str) -> tuple[list[str], str]:
        """Run `llmaudit cache`; returns the lines that it printed, and what it printed as errors."""
        monkeypatch.setattr(sys, "argv", ["llmaudit", "cache", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        assert (left.value.code == 2) == captured.err.startswith("llmaudit:")
        return captured.out.splitlines(), captured.err

    return run


def _fill(path: Path, many: int = 3) -> None:
    store = ResponseStore(path)
    for number in range(many):
        store.put("model", "tiny [1]", Generate(f"p{number}", "c"), Completion("x", 1, "stop", "p"))
    store.close()


@pytest.mark.parametrize("arguments", [(), ("--prune", "0")])
def test_where_nothing_was_ever_stored(command: Command, path: Path, arguments: tuple[str, ...]) -> None:
    assert command(*arguments) == ([f"{path}: no responses are stored"], "")
    assert not path.parent.exists(), "looking makes no file"


def test_where_nothing_is_left(command: Command, path: Path) -> None:
    _fill(path, 0)
    assert command() == ([f"{path}: no responses are stored"], "")
    assert command("--prune", "0") == (["0 responses forgotten", f"{path}: no responses are stored"], "")


def test_what_is_stored_is_shown_by_model(command: Command, path: Path) -> None:
    _fill(path)
    (title, line), errors = command()
    assert (title.strip(), line.split(), errors) == (str(path), ["tiny", "[1]", "3", "responses"], "")


def test_pruning_forgets_what_is_old(command: Command, path: Path) -> None:
    _fill(path, 2000)
    size = path.stat().st_size
    assert command("--prune", "1")[0][0] == "0 responses forgotten"
    assert command("--prune", "0") == (["2,000 responses forgotten", f"{path}: no responses are stored"], "")
    assert path.stat().st_size < size / 10, "and gives the room back"


@pytest.mark.parametrize("arguments", [(), ("--prune", "0")])
@pytest.mark.parametrize("whole", [True, False])
def test_a_damaged_file_is_set_aside_and_said(
    command: Command, path: Path, arguments: tuple[str, ...], whole: bool
) -> None:
    _fill(path, 200)
    good = path.read_bytes()
    path.write_bytes(b"garbage " * 1000 if whole else good[:4096] + bytes(len(good) - 4096))
    lines, errors = command(*arguments)
    assert lines[-1] == f"{path}: no responses are stored"
    assert errors.startswith(f"{path}: the store of responses was damaged (")
    assert errors.count("\n") == 1
    assert command()[1] == ""


def test_a_file_that_cannot_be_read_is_one_line(command: Command, path: Path) -> None:
    path.mkdir(parents=True)
    lines, errors = command()
    assert lines == []
    assert errors.startswith(f"llmaudit: {path}: the store of responses cannot be used (")
    assert errors.count("\n") == 1


_WRITER = """
import sys
from pathlib import Path
from llmaudit.store import ResponseStore
from llmaudit.types import Completion, Generate
store = ResponseStore(Path(sys.argv[1]))
number = 0
while number < 5000:
    store.put("model", "m", Generate(f"p{number}", "c"), Completion("x", 1, "stop", "p"))
    number += 1
    if number == 100:
        print("writing", flush=True)
store.close()
print(store.remark)
"""


def test_a_store_that_another_process_writes_to(command: Command, path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        lines, errors = command()
        assert (len(lines), errors) == (2, "")
        lines, errors = command("--prune", "0")
        assert lines[0].endswith("responses forgotten")
        assert int(lines[0].split()[0].replace(",", "")) >= 100
        assert errors == ""
        assert writer.stdout.read() == "None\n", "the writer notices nothing"
        writer.wait(timeout=20)
    assert writer.returncode == 0
