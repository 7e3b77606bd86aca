"""The line that says how far a long batch is."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_SUITE = """\
suite: slow
audits:
  words:
    kind: tokenization
    words: [people, work, women, men, students]
    checks: {single_token_rate: {min: 0.9}}
  more:
    kind: tokenization
    words: [people]
    checks: {single_token_rate: {min: 0.9}}
"""

_SLOW = """\
import time


def handler(request):
    # Longer than the time between two updates of the line.
    time.sleep(0.25)
"""


def _on_a_terminal(project: Project, *arguments: str) -> str:
    """Run pytest on a terminal and return every byte that it wrote there."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "pytest", *project.options, *arguments]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "24"}
    process = subprocess.Popen(command, cwd=project.path, stdout=slave, stderr=slave, stdin=slave, env=environment)
    os.close(slave)
    written = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # Linux says so, where others say that there is nothing more
            break
        if not piece:
            break
        written += piece
    os.close(master)
    assert process.wait(timeout=30) == 0
    return written.decode()


def _screen(written: str, width: int = 100) -> list[str]:
    """What a terminal shows of it in the end, as far as pytest and the progress line use one."""
    lines, row, column = [[" "] * width], 0, 0
    for piece in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]", written):
        number = int(re.sub(r"\D", "", piece.partition(";")[0]) or 1) if piece.startswith("\x1b") else 0
        if piece == "\r":
            column = 0
        elif piece == "\n":
            row += 1
            lines += [[" "] * width] if row == len(lines) else []
        elif piece.endswith("A") and number:
            row -= number
        elif piece.endswith("G") and number:
            column = number - 1
        elif piece.endswith("K") and number:
            lines[row] = [" "] * width if number == 2 else lines[row][:column] + [" "] * (width - column)
        elif not piece.startswith("\x1b"):
            lines[row][min(column, width - 1)] = piece
            column += 1
    return ["".join(line).rstrip() for line in lines]


def test_on_a_terminal(project: Project) -> None:
    project.engine(_SLOW)
    project.suite(_SUITE)
    written = _on_a_terminal(project)
    shown = re.findall(r"\x1b\[2K  (slow / [^\x1b\r\n]*)", written)
    assert shown[:2] == ["slow / words: loading the model", "slow / words: 0/5 answers in 0 s"]
    assert any(re.fullmatch(r"slow / words: 2/5 answers in \d s, about \d s left", line) for line in shown)
    assert any(line.startswith("slow / words: 5/5 answers in ") for line in shown)
    assert any(line.startswith("slow / more: 1/1 answers in ") for line in shown)

    screen = _screen(written)
    assert not any("answers in" in line or "loading the model" in line for line in screen), "it is taken away"
    # pytest's own line goes on where it stood, and nothing stands between it and the summary.
    at = next(number for number, line in enumerate(screen) if line.startswith("facts.audit.yaml"))
    assert re.fullmatch(r"facts\.audit\.yaml \.\. +\[100%\]", screen[at])
    assert "= llmaudit =" in next(line for line in screen[at + 1 :] if line)


def test_on_a_terminal_with_a_line_per_check(project: Project) -> None:
    project.engine(_SLOW)
    project.suite(_SUITE)
    screen = _screen(_on_a_terminal(project, "-v"))
    checks = [line for line in screen if line.startswith("facts.audit.yaml::")]
    assert [re.sub(r"\s+", " ", line) for line in checks] == [
        "facts.audit.yaml::words::single_token_rate PASSED [ 50%]",
        "facts.audit.yaml::more::single_token_rate PASSED [100%]",
    ]


def test_in_a_pipe(project: Project) -> None:
    project.engine(_SLOW)
    project.suite(_SUITE)
    result = project.run()
    output = result.stdout.str() + result.stderr.str()
    assert "answers in" not in output
    assert "loading the model" not in output
    assert "\x1b" not in output
