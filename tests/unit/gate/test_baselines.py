"""Where baselines are, and which runs may become one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from llmaudit.errors import RunError
from llmaudit.gate import accept, find_baseline
from llmaudit.records import LimitRecord, Outcome, Record, SuiteRecord
from llmaudit.run import Run
from tests.unit.gate.runs import audit, estimate, run


def _record(verdict: Outcome = "pass") -> Record:
    return Record("id", "s", "a", "bias", "m", "m", "confirmatory", verdict, "", LimitRecord(max=1))


@pytest.fixture
def whole(tmp_path: Path) -> Run:
    """A whole run in its folder."""
    folder = tmp_path / "reports" / "tiny" / "2026-01-01"
    folder.mkdir(parents=True)
    suites = (SuiteRecord("s", "", "s.audit.yaml", "00", checks=1),)
    found = run(audit(estimate("m", [1.0, 2.0])), suites=suites, records=(_record(),), folder=folder)
    (folder / "run.json").write_text(found.to_json(), encoding="utf-8")
    (folder / "samples.jsonl.gz").write_bytes(b"samples")
    (tmp_path / "reports" / "latest").write_text("tiny/2026-01-01\n")
    return found


@pytest.mark.parametrize("name", ["latest", "reports/tiny/2026-01-01", "reports/tiny/2026-01-01/run.json"])
def test_a_run_is_found_by_its_names(whole: Run, tmp_path: Path, name: str) -> None:
    assert find_baseline(name, start=tmp_path, reports=tmp_path / "reports") == whole


def test_an_accepted_run_is_a_copy(whole: Run, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    for _ in range(2):  # the second takes the place of the first
        assert accept(whole, reports) == reports / "baseline"
    assert sorted(path.name for path in (reports / "baseline").iterdir()) == ["run.json", "samples.jsonl.gz"]
    assert find_baseline("accepted", start=tmp_path, reports=reports) == whole
    assert not (reports / "baseline.half").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"smoke": True}, "a smoke run"),
        ({"complete": False}, "interrupted"),
        ({"records": (_record("error"),)}, "1 checks ended in an error, the first of them a::m"),
        ({"records": ()}, "only 0 of the 1 checks of s.audit.yaml were selected"),
    ],
)
def test_no_part_of_a_run_is_accepted(whole: Run, tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(RunError, match=said):
        accept(replace(whole, **changes), tmp_path / "reports")  # type: ignore[arg-type]
    assert not (tmp_path / "reports" / "baseline").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("reports/tiny/2026-02-01", "the nearest is reports/tiny/2026-01-01"),
        ("zzz", "give a run's folder, its run.json, latest, or model:NAME"),
        ("accepted", "make one with --baseline-update"),
    ],
)
def test_what_is_not_there_names_a_way_out(whole: Run, tmp_path: Path, name: str, said: str) -> None:
    assert whole.folder is not None
    with pytest.raises(RunError, match=said):
        find_baseline(name, start=tmp_path, reports=tmp_path / "reports")


def test_a_run_without_estimates_is_no_baseline(whole: Run, tmp_path: Path) -> None:
    assert whole.folder is not None
    (whole.folder / "run.json").write_text(replace(whole, audits=()).to_json(), encoding="utf-8")
    with pytest.raises(RunError, match="measured nothing"):
        find_baseline("latest", start=tmp_path, reports=tmp_path / "reports")
