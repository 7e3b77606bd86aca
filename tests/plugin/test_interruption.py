"""A run that is cut short keeps what was finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_SUITE = """\
suite: three audits
audits:
  first:
    kind: tokenization
    words: [people]
    checks: {single_token_rate: {min: 0.9}, tokens_per_word: {max: 2}}
  second:
    kind: tokenization
    words: [work, women, men]
    checks: {single_token_rate: {min: 0.9}, tokens_per_word: {max: 2}}
  third:
    kind: tokenization
    words: [students]
    checks: {single_token_rate: {min: 0.9}}
"""

#: Tells that it has begun, and then takes longer than anyone waits. Tells too, in the process that writes the report,
#: what is finished: from a worker it arrives there a moment later.
_STUCK = """\
import time


def handler(request):
    if request.text == " women":
        note("signs.txt", "stuck")
        time.sleep(60)


def pytest_llmaudit_record(record):
    note("signs.txt", record["check"])
"""


def _cut_short(project: Project) -> None:
    """What must be left of a run that was interrupted in its second audit."""
    run = project.result()
    assert not run.complete
    assert [(record.audit, record.verdict) for record in run.records] == [("first", "pass")] * 2
    assert [audit.audit for audit in run.audits] == ["first"]
    assert len(run.plan) == 5
    assert run.model is not None
    assert [sample["asked"] for sample in project.samples()] == [" people"]
    assert run.folder is not None
    assert "Incomplete run: 2 of 5 planned checks have a result." in (run.folder / "report.html").read_text("utf-8")


def test_ctrl_c_in_the_middle_of_a_batch(project: Project) -> None:
    project.engine(
        """\
        def handler(request):
            if request.text == " women":
                raise KeyboardInterrupt
        """
    )
    project.suite(_SUITE)
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "*= llmaudit =*",
            "PASSED  first::single_token_rate *",
            "Incomplete run: 2 of 5 planned checks have a result.",
            "report: reports/tiny/*/report.html",
            "*! KeyboardInterrupt !*",
        ]
    )
    assert project.asked == [" people", " work", " women"]
    _cut_short(project)


def _interrupt(project: Project, *arguments: str) -> tuple[int, str]:
    """Press Ctrl-C while a model is stuck: a terminal signals every process of the foreground group."""
    command = [sys.executable, "-m", "pytest", *project.options, *arguments]
    process = subprocess.Popen(
        command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        _wait_for(project.path / "signs.txt", 3, process)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.returncode, output


def _wait_for(path: Path, lines: int, process: subprocess.Popen[str]) -> None:
    """Wait until a file has so many lines."""
    until = time.monotonic() + 30
    while not path.exists() or len(path.read_text().splitlines()) < lines:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_real_ctrl_c(project: Project) -> None:
    project.engine(_STUCK)
    project.suite(_SUITE)
    status, output = _interrupt(project)
    assert status == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    _cut_short(project)


def test_a_real_ctrl_c_with_a_worker(project: Project) -> None:
    pytest.importorskip("xdist")
    project.engine(_STUCK)
    project.suite(_SUITE)
    status, output = _interrupt(project, "-n1")
    assert status == pytest.ExitCode.INTERRUPTED
    assert "INTERNALERROR" not in output
    _cut_short(project)
