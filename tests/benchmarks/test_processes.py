"""The parts that run pytest: what they count, and what they say where it does not run."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks import engine_clock, overhead, startup
from benchmarks.engine_clock import Clock, ClockedEngine
from benchmarks.figures import Figure
from llmaudit.engines.fake import FakeEngine
from llmaudit.types import Request, Response, Tokenize

SUITE = """\
suite: words
description: One audit that any engine answers.
audits:
  terms:
    kind: tokenization
    words: [women, men]
    checks:
      single_token_rate: {min: 0.5, why: names should be cut alike}
"""


def test_the_clock_runs_only_while_an_answer_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    class Slow(FakeEngine):
        def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
            nonlocal now
            for answer in super().run(requests):
                now += 2.0
                yield answer

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    clock = Clock()
    engine = ClockedEngine(Slow(seed=0, name="slow"), clock)
    for _ in engine.run([Tokenize("a", "c"), Tokenize("b", "c")]):
        now += 100.0
    assert clock == Clock(loading=0.0, engine=4.0, answers=2)
    assert engine.info.name == "slow"
    assert Tokenize in engine.capabilities


def test_the_plugin_writes_what_a_session_spent(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    written = pytester.path / "clock.json"
    monkeypatch.setenv(engine_clock.VARIABLE, str(written))
    monkeypatch.setenv("LLMAUDIT_CACHE", str(pytester.path / "cache"))
    monkeypatch.setattr(engine_clock, "_clock", Clock())
    (pytester.path / "words.audit.yaml").write_text(SUITE, encoding="utf-8")
    pytester.runpytest_inprocess("-p", "benchmarks.engine_clock", "--model", "any", "--engine", "fake")
    clock = Clock(**json.loads(written.read_text(encoding="utf-8")))
    assert clock.answers > 0
    assert clock.engine > 0
    assert clock.loading > 0


def test_the_share_is_of_what_is_neither_engine_nor_loading() -> None:
    assert overhead.overhead_share(10.0, Clock(loading=1.0, engine=8.0, answers=5)) == pytest.approx(0.1)


def test_an_audit_that_does_not_run_has_a_reason_for_a_share(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMAUDIT_CACHE", str(tmp_path))
    monkeypatch.setattr(overhead, "local_folder", lambda _: tmp_path)
    refusal = subprocess.CompletedProcess([], returncode=4, stdout="ERROR: no model to audit\n")
    monkeypatch.setattr(overhead, "_run", lambda *_: refusal)
    outcome = overhead.overhead("gpt2")
    reason = "the audit ended with exit status 4: ERROR: no model to audit"
    assert outcome.figures == {"overhead_share": Figure(None, reason)}
    assert reason in capsys.readouterr().out


def test_an_empty_store_knows_models_and_hashes_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real, scratch = tmp_path / "real", tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("LLMAUDIT_CACHE", str(real))
    for file in ("gguf/model/config.json", "hashes/a.txt", "responses.sqlite3"):
        (real / file).parent.mkdir(parents=True, exist_ok=True)
        (real / file).touch()
    cache = overhead._empty_store(scratch)
    assert (cache / "gguf" / "model" / "config.json").is_file()
    assert sorted(path.name for path in cache.iterdir()) == ["gguf", "hashes"]


def test_a_startup_is_the_median_of_pairs_in_milliseconds() -> None:
    figure = startup.paired([0.5, 0.6, 9.0], [0.4, 0.58, 8.7])
    assert figure.value == pytest.approx(100)
    assert figure.note.startswith("median of 3 paired differences")


def test_sessions_with_and_without_the_plugin_are_what_they_are_taken_for(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(startup._TEST, encoding="utf-8")
    assert startup._session(tmp_path, plugin=True) > 0
    assert startup._session(tmp_path, plugin=False) > 0


def test_a_session_that_fails_says_how(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="pytest -q -p no:cacheprovider ended with exit status 5: no tests ran"):
        startup._session(tmp_path, plugin=True)
