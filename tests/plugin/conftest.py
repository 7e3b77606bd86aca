"""A project of a pytest user: suites, a model that answers at once, and what a run left behind."""

from __future__ import annotations

import gzip
import json
import os
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

# pytester forgets the modules that a run inside this process imported, and numpy and its like cannot be imported
# twice. What stays imported is also what makes these runs fast.
import matplotlib.backends.backend_pdf
import matplotlib.backends.backend_svg  # noqa: F401 - see above
import pytest
import vaderSentiment.vaderSentiment  # noqa: F401 - see above

import llmaudit.attempts
import llmaudit.environment
import llmaudit.pytest_plugin.ci
import llmaudit.pytest_plugin.suite_nodes
import llmaudit.pytest_plugin.terminal
import llmaudit.pytest_plugin.writing
import llmaudit.report  # noqa: F401 - see above
from llmaudit import Run, load_run

#: Answers as FakeEngine does, or as `handler` says, and notes in asked.jsonl what was asked and in loads.txt when a
#: model was loaded.
_CONFTEST = """\
import dataclasses
import json
import os
import pathlib

import pytest

import llmaudit

FOLDER = pathlib.Path(__file__).parent


def note(name, text):
    # One write of a short line to a file opened for appending is whole, whichever worker writes it.
    with open(FOLDER / name, "a", encoding="utf-8") as stream:
        stream.write(text + chr(10))


{handler}


def noted(request):
    text = getattr(request, "text", None) or getattr(request, "prompt", "")
    note("asked.jsonl", json.dumps({{"text": text, "process": os.getpid()}}))
    return handler(request)


@pytest.hookimpl
def pytest_llmaudit_make_engine(options):
    note("loads.txt", options.model)
    {load}
    engine = llmaudit.FakeEngine(noted, seed=options.seed, name=options.model{capabilities})
    engine.info = dataclasses.replace(engine.info, sha256={sha256!r})
    return engine
"""

_NO_HANDLER = """\
def handler(request):
    return None
"""

#: Facts of the vocabulary of FakeEngine (1000 tokens, 2 of them special) and counts of words: no figure to draw, and
#: every verdict known in advance.
_FACTS = """\
suite: facts
audits:
  size:
    kind: tokenization
    words: [people, work]
    checks:
      vocabulary_size: {min: 500, why: what the smallest useful vocabulary has}
      special_tokens: {max: 1, why: an end and no more}
  words:
    kind: tokenization
    words: [women, men, students]
    checks:
      single_token_rate: {min: 0.9, why: these are common words}
"""


class Project:
    """The folder of a pytest user who audits a model."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.engine()
        #: Given to every run: an engine without a model. It is the conftest's, which is asked before the built-in ones.
        self.options = ["--engine=fake", "--model=tiny", "-pno:hypothesispytest", "-pno:anyio"]

    def engine(
        self,
        handler: str = _NO_HANDLER,
        *,
        load: str = "pass",
        capabilities: str = "",
        sha256: str | None = None,
    ) -> None:
        """Let the model answer by `handler(request)`, and `load` happen when it is loaded.

        The answers of a model whose hash is known are kept for the next run.
        """
        capabilities = f", capabilities=frozenset({{{capabilities}}})" if capabilities else ""
        handler = textwrap.dedent(handler)
        self.file("conftest.py", _CONFTEST.format(handler=handler, load=load, capabilities=capabilities, sha256=sha256))

    def file(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def suite(self, text: str = _FACTS, name: str = "facts") -> Path:
        """Write a suite."""
        return self.file(f"{name}.audit.yaml", text)

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in this process."""
        with warnings.catch_warnings():
            # The filters of the tests are not those of the user.
            warnings.resetwarnings()
            return self.pytester.runpytest_inprocess(*self.options, *arguments, no_reraise_ctrlc=True)

    def spawn(self, *arguments: str, timeout: float = 60) -> pytest.RunResult:
        """Run pytest in a process of its own."""
        return self.pytester.runpytest_subprocess(*self.options, *arguments, timeout=timeout)

    @property
    def asked(self) -> list[str]:
        """Every text that the model was asked, in order."""
        return [line["text"] for line in self.asked_lines]

    @property
    def asked_lines(self) -> list[dict[str, Any]]:
        """The same with the process that asked."""
        return [json.loads(line) for line in self._lines("asked.jsonl")]

    @property
    def loads(self) -> list[str]:
        """The models that were loaded."""
        return self._lines("loads.txt")

    def forget(self) -> None:
        """Forget what was asked so far."""
        for name in ("asked.jsonl", "loads.txt"):
            (self.path / name).unlink(missing_ok=True)

    def result(self, reports: str = "reports") -> Run:
        """Load the newest run."""
        return load_run(self.path / reports / "latest")

    def verdicts(self, reports: str = "reports") -> dict[str, str]:
        """Verdict of every record of the newest run, by `audit::check`."""
        return {f"{record.audit}::{record.check}": record.verdict for record in self.result(reports).records}

    def samples(self, reports: str = "reports") -> list[dict[str, Any]]:
        """Every stored sample of the newest run."""
        folder = self.result(reports).folder
        assert folder is not None
        with gzip.open(folder / "samples.jsonl.gz", "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def _lines(self, name: str) -> list[str]:
        path = self.path / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project with an engine."""
    for variable in [name for name in os.environ if name.startswith(("LLMAUDIT_", "GITHUB_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("LLMAUDIT_CACHE", str(pytester.path / "cache"))
    # A conftest that is written anew within a second, at the same length, would be taken from its compiled file.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return Project(pytester)
