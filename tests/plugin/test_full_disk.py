"""A disk that fills up: what was answered is kept, and the verdicts reach the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from llmaudit import load_run

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

pytest.importorskip("resource", reason="needs limits to the size of files")

_HASH = "0" * 64
_WORDS = [f"word{number}" for number in range(60)]
_SUITE = f"""\
suite: full
audits:
  first:
    kind: tokenization
    words: [{", ".join(_WORDS[:40])}]
    checks: {{single_token_rate: {{min: 0.5}}, tokens_per_word: {{max: 3}}}}
  second:
    kind: tokenization
    words: [{", ".join(_WORDS[40:])}]
    checks: {{single_token_rate: {{min: 0.5}}}}
"""

#: Lets no file grow beyond so many bytes from the first model on, or from the end of the last check on. SQLite's own
#: shared memory takes 32 KiB.
_LIMITS = """\
import resource

import pytest


def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def handler(request):
    if {answering}:
        limit({answering})


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    limit({finishing} or resource.RLIM_INFINITY)
"""


def _run(project: Project, *arguments: str, answering: int = 0, finishing: int = 0) -> tuple[int, str]:
    """Run with so much room for each file while the model answers, and while the report is written."""
    project.engine(_LIMITS.format(answering=answering, finishing=finishing), sha256=_HASH)
    project.suite(_SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *project.options, "-pno:cacheprovider", *arguments],
        cwd=project.path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_disk_that_fills_up_while_the_model_answers_loses_no_answer(project: Project) -> None:
    status, output = _run(project, answering=1 << 16)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "Traceback" not in output
    told = [line for line in output.splitlines() if "could not be kept" in line]
    assert f"{project.path / 'cache' / 'responses.sqlite3'}: a response could not be kept" in told[0]
    assert "LLMAUDIT_CACHE" in told[0]
    assert "--no-cache" in told[0]
    assert set(project.verdicts().values()) == {"error"}
    asked = project.asked
    assert 5 < len(asked) < 40
    assert _run(project, "--no-cache", "--report-dir=round", answering=1 << 16)[0] == 0
    assert set(project.verdicts("round").values()) == {"pass"}
    project.forget()
    assert _run(project)[0] == 0
    # Of each audit, the answer at hand when the disk was full.
    assert project.asked == [f" {word}" for word in [_WORDS[len(asked) - 2], *_WORDS[len(asked) - 1 :]]]
    assert set(project.verdicts().values()) == {"pass"}


@pytest.mark.parametrize(("room", "missing"), [(1 << 9, "run"), (1 << 15, "report")])
def test_a_disk_that_is_full_when_the_report_is_written(project: Project, room: int, missing: str) -> None:
    status, output = _run(project, finishing=room)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert "Traceback" not in output
    lines = output.splitlines()
    assert sum(line.startswith("PASSED") for line in lines) == 3, "the verdicts reach the terminal"
    (told,) = [line for line in lines if "could not be written" in line]
    assert str(project.path / "reports") in told
    assert f"the {missing} cannot be written" in told
    assert "make room" in told
    if missing == "report":
        (folder,) = (project.path / "reports" / "tiny").iterdir()
        assert len(load_run(folder).records) == 3
        return
    project.forget()
    assert _run(project)[0] == 0
    assert project.asked == []
    assert set(project.verdicts().values()) == {"pass"}
