from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from llmaudit.errors import ReportError
from llmaudit.report import write_report
from llmaudit.run import Run, load_run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_files_of_a_report(report: Path) -> None:
    assert set(contents(report.parent)) == {
        "report.html", "summary.md",
        "figures/demographic-bias-occupations.1.svg", "figures/demographic-bias-occupations.1.pdf",
        "figures/tokenization-premiums.1.svg", "figures/tokenization-premiums.1.pdf",
        "tables/demographic-bias-occupations.csv", "tables/demographic-bias-occupations.tex",
        "tables/tokenization-premiums.csv", "tables/tokenization-premiums.tex",
    }  # fmt: skip


def test_the_same_run_gives_the_same_bytes(run: Run, report: Path, tmp_path: Path) -> None:
    write_report(run, tmp_path)
    assert contents(tmp_path) == contents(report.parent)


def test_a_stored_run_gives_the_report_of_the_living_one(run: Run, tmp_path: Path) -> None:
    records = tuple(replace(record, evidence=()) for record in run.records)
    (tmp_path / "run.json").write_text(replace(run, records=records).to_json(), encoding="utf-8")
    stored = write_report(load_run(tmp_path), tmp_path / "stored")
    living = write_report(replace(run, records=records), tmp_path / "living")
    assert contents(stored.parent) == contents(living.parent)


def test_an_empty_run_has_a_report(run: Run, tmp_path: Path) -> None:
    empty = replace(run, model=None, environment={}, suites=(), plan=(), audits=(), records=(), notes=())
    text = write_report(empty, tmp_path).read_text(encoding="utf-8")
    assert "No check was run." in text
    assert "No audit was run." in text
    assert "none was loaded" in text


def test_a_folder_that_cannot_be_written_is_an_error_with_a_way_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ReportError, match=r"cannot be written .* `llmaudit report"):
        write_report(run, tmp_path / "file" / "report")
