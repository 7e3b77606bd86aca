"""Repeated attempts: which earlier runs count, and what is told of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmaudit.attempts import with_attempts
from llmaudit.records import LimitRecord, Outcome, Record, SuiteRecord
from llmaudit.run import SCHEMA_VERSION, Run
from llmaudit.types import ModelInfo

_MODEL = ModelInfo("tiny", "org/tiny", "hf", sha256="ab" * 32, dtype="float32")


def record(check: str, verdict: Outcome, suite: str = "s") -> Record:
    return Record(
        id=f"{suite}-{check}", suite=suite, audit="a", kind="bias", check=check, metric=check, role="confirmatory",
        verdict=verdict, reason="", limit=LimitRecord(max=1),
    )  # fmt: skip


def run(day: int, *records: Record, **changes: Any) -> Run:
    known = Run(
        schema_version=SCHEMA_VERSION,
        run_id=f"run{day}",
        started=f"2026-11-{day:02}T10:00:00+00:00",
        finished=f"2026-11-{day:02}T11:00:00+00:00",
        llmaudit_version="0.1.0",
        model=_MODEL,
        environment={},
        seed=0,
        smoke=False,
        complete=True,
        suites=tuple(SuiteRecord(name, "", f"{name}.audit.yaml", "cd" * 32) for name in ("s", "other")),
        plan=(),
        audits=(),
        records=records or (record("gap", "pass"),),
    )
    return replace(known, **changes)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    return tmp_path / "reports"


def keep(reports: Path, finished: Run, model: str = "tiny") -> Run:
    """Do as a session does at its end."""
    whole = with_attempts(finished, reports)
    folder = reports / model / whole.started[:19].replace(":", "-")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(whole.to_json(), encoding="utf-8")
    return whole


def test_the_first_attempt(reports: Path) -> None:
    (own,) = keep(reports, run(1)).attempts
    assert (own.number, own.run_id, own.verdicts) == (1, "run1", {"s/a/gap": "pass"})


def test_each_run_tells_of_those_before_it(reports: Path) -> None:
    keep(reports, run(1, record("gap", "fail")))
    keep(reports, run(2, record("gap", "inconclusive"), seed=1, complete=False))
    found = keep(reports, run(3)).attempts
    assert [attempt.number for attempt in found] == [1, 2, 3]
    assert [attempt.verdicts["s/a/gap"] for attempt in found] == ["fail", "inconclusive", "pass"]
    assert [(attempt.seed, attempt.complete) for attempt in found] == [(0, True), (1, False), (0, True)]


def test_another_name_of_the_same_model_makes_no_new_beginning(reports: Path) -> None:
    keep(reports, run(1), model="tiny")
    again = run(2, model=replace(_MODEL, name="org/tiny"))
    assert len(keep(reports, again, model="org--tiny").attempts) == 2


def test_a_deleted_folder_is_not_forgotten(reports: Path) -> None:
    keep(reports, run(1, record("gap", "fail")))
    keep(reports, run(2))
    (reports / "tiny" / "2026-11-01T10-00-00" / "run.json").unlink()
    assert [attempt.run_id for attempt in keep(reports, run(3)).attempts] == ["run1", "run2", "run3"]


@pytest.mark.parametrize(
    "changes",
    [
        {"model": replace(_MODEL, sha256="ff" * 32)},
        {"model": replace(_MODEL, resolved="org/other")},
        {"model": replace(_MODEL, quantization="nf4")},
        {"model": replace(_MODEL, dtype="bfloat16")},
        {"model": None},
        {"suites": (SuiteRecord("s", "", "s.audit.yaml", "00" * 32),)},
        {"smoke": True},
    ],
    ids=["weights", "model", "quantization", "dtype", "no model", "suite", "smoke"],
)
def test_what_is_no_earlier_attempt(reports: Path, changes: dict[str, Any]) -> None:
    keep(reports, run(1, **changes))
    assert [attempt.run_id for attempt in keep(reports, run(2)).attempts] == ["run2"]


def test_a_smoke_run_is_no_attempt(reports: Path) -> None:
    keep(reports, run(1))
    assert keep(reports, run(2, smoke=True)).attempts == ()


def test_only_the_shared_suites_are_told_of(reports: Path) -> None:
    keep(reports, run(1, record("gap", "fail"), record("depth", "pass", "other")))
    one, two = keep(reports, run(2, suites=run(2).suites[:1])).attempts
    assert (one.verdicts, two.verdicts) == ({"s/a/gap": "fail"}, {"s/a/gap": "pass"})
    *_, three = keep(reports, run(3, record("depth", "fail", "other"), suites=run(3).suites[1:])).attempts
    assert three.number == 2, "the run in between did not try this suite"


def test_two_runs_may_tell_of_one_attempt(reports: Path) -> None:
    keep(reports, run(1, record("gap", "fail"), record("depth", "pass", "other")))
    keep(reports, run(2, suites=run(2).suites[:1]))
    keep(reports, run(3, record("depth", "fail", "other"), suites=run(3).suites[1:]))
    (reports / "tiny" / "2026-11-01T10-00-00" / "run.json").unlink()
    first, *_ = keep(reports, run(4)).attempts
    assert first.verdicts == {"s/a/gap": "fail", "other/a/depth": "pass"}


def test_ten_are_carried_along_and_all_are_counted(reports: Path) -> None:
    for day in range(1, 15):
        last = keep(reports, run(day))
    assert [attempt.number for attempt in last.attempts] == [*range(4, 15)]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{\n "model": 3,\n "audits": []}', '{\n "attempts": 3,\n "audits": []}', "\x00", "\ud800"],
)
def test_a_damaged_file_is_passed_over(reports: Path, text: str) -> None:
    folder = reports / "tiny" / "2026-11-01T00-00-00"
    folder.mkdir(parents=True)
    (folder / "run.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert len(keep(reports, run(2)).attempts) == 1


def test_attempts_that_are_damaged_are_passed_over(reports: Path) -> None:
    keep(reports, run(1))
    file = reports / "tiny" / "2026-11-01T10-00-00" / "run.json"
    file.write_text(file.read_text().replace('"number": 1', '"number": "x"'))
    assert len(keep(reports, run(2)).attempts) == 1


def test_only_the_beginning_of_a_file_is_read(reports: Path) -> None:
    keep(reports, run(1))
    file = reports / "tiny" / "2026-11-01T10-00-00" / "run.json"
    begin, mark, _ = file.read_text().partition('\n "audits": ')
    file.write_text(f"{begin}{mark} nothing that could be read")
    assert len(keep(reports, run(2)).attempts) == 2
