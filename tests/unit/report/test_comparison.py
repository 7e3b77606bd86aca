"""The report of a comparison: one page without a script, Markdown, CSV, all from the same numbers."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from llmaudit.comparison import Comparison, compare_runs
from llmaudit.errors import ReportError
from llmaudit.records import AuditRecord, EstimateRecord
from llmaudit.report import write_comparison
from llmaudit.run import Run
from llmaudit.stats import t_interval
from llmaudit.types import Estimate

from .conftest import HOSTILE, build_run

_ATTACK = "<img src=x onerror=alert(1)>"


def _shifted(run: Run, name: str, shift: float) -> Run:
    """The same run of another model, whose clusters lie higher."""
    (first, *_) = run.audits
    moved = tuple(_moved(each, shift) for each in first.estimates)
    audits = (replace(first, design={"samples": "4"}, estimates=moved),)
    model = run.model and replace(run.model, name=name, weight_bytes=int(2**29 * (1 + shift)))
    return replace(run, run_id=f"{run.run_id}-{shift}", model=model, audits=audits)


def _moved(record: EstimateRecord, shift: float) -> EstimateRecord:
    if record.value is None or record.deterministic:
        return record
    # A small shift goes up in half of the clusters and down in the others.
    shifts = [shift if shift > 0.01 else shift * (-1) ** (place // 2) for place in range(12)]
    values = [record.value + moved + 0.01 * (-1) ** place for place, moved in enumerate(shifts)]
    estimate = Estimate(
        metric=record.metric,
        value=sum(values) / 12,
        interval=t_interval(values),
        unit=record.unit,
        better=record.better,
        n=12,
        clusters=12,
        cluster_values={f"{HOSTILE} {place}": value for place, value in enumerate(values)},
    )
    return EstimateRecord.of(estimate)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    run = build_run()
    other_seed = replace(_shifted(run, "seeded", 0.3), seed=1)
    return compare_runs(
        [_shifted(run, f"plain {HOSTILE}", 0.0), _shifted(run, "twin", 0.0001), _shifted(run, "worse", 0.4), other_seed]
    )


@pytest.fixture(scope="module")
def folder(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_comparison(comparison, tmp_path_factory.mktemp("comparison")).parent


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "comparison.html").read_text(encoding="utf-8")


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_files(folder: Path) -> None:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names >= {
        "comparison.html", "comparison.md", "tables/tradeoff.csv", "tables/estimates.csv", "tables/differences.csv",
        "figures/tradeoff.1.svg", "figures/tradeoff.1.pdf",
    }  # fmt: skip


def test_the_same_comparison_gives_the_same_bytes(comparison: Comparison, folder: Path, tmp_path: Path) -> None:
    write_comparison(comparison, tmp_path)
    for path in (path for path in folder.rglob("*") if path.is_file()):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_the_page_asks_for_nothing_and_runs_nothing(page: str) -> None:
    assert "Content-Security-Policy" in page
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(r'(?:src|href)="(?!#|data:,")', page)


def test_a_model_may_be_called_anything(page: str, folder: Path) -> None:
    assert _ATTACK not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert _ATTACK not in (folder / "comparison.md").read_text(encoding="utf-8")


def test_anchors_lead_somewhere_and_are_unique(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_tied_sets_are_named_and_so_is_who_is_better(page: str, folder: Path) -> None:
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    assert "these two cannot be told apart: plain" in text
    assert re.search(r"twin is better than (?:plain[^|]*, )?worse", text)
    assert "worse is better than" not in text
    assert "Not to be told apart is not to be equivalent" in page


def test_what_was_not_measured_alike_is_named(page: str, folder: Path) -> None:
    assert "seed 20261122 there, 1 here" in page
    assert "seed 20261122 there, 1 here" in (folder / "comparison.md").read_text(encoding="utf-8")
    assert {row["run"] for row in rows(folder / "tables" / "estimates.csv")} >= {"twin", "worse"}
    assert "seeded" not in {row["run"] for row in rows(folder / "tables" / "estimates.csv")}


def test_the_tables_hold_every_digit(comparison: Comparison, folder: Path) -> None:
    found = rows(folder / "tables" / "differences.csv")
    expected = [each for metric in comparison.metrics for each in metric.differences]
    assert len(found) == len(expected)
    for row, each in zip(found, expected, strict=True):
        assert row["value"] == ("" if each.value is None else repr(each.value))
        assert row["told_apart"] == str(each.apart)
    (plain, *_, seeded) = rows(folder / "tables" / "tradeoff.csv")
    assert float(plain["weights_gib"]) == pytest.approx(0.5)
    assert seeded["tokens_per_second"] == ""


def test_figures_are_valid_pictures(folder: Path) -> None:
    for file in (folder / "figures").glob("*.svg"):
        assert ET.parse(file).getroot().attrib["role"] == "img"  # noqa: S314 - drawn a moment ago


def test_a_folder_that_cannot_be_written_is_one_message(comparison: Comparison, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(ReportError, match=r"taken.*compare again"):
        write_comparison(comparison, tmp_path / "taken")


def test_nothing_to_draw_and_nothing_that_differs_are_said(tmp_path: Path) -> None:
    run = build_run()
    plain = [_shifted(run, name, shift) for name, shift in (("a", 0.0), ("b", 0.000001))]
    bare = [
        replace(each, model=each.model and replace(each.model, weight_bytes=None, parameters=None)) for each in plain
    ]
    text = write_comparison(compare_runs(bare), tmp_path).read_text(encoding="utf-8")
    assert "fewer than two runs know either" in text
    assert "In no metric are any two runs told apart" in text
    assert "In no metric are any two runs told apart" in (tmp_path / "comparison.md").read_text(encoding="utf-8")


def test_an_audit_without_a_question_has_its_place(tmp_path: Path) -> None:
    runs = [
        replace(each, audits=tuple(_silent(audit) for audit in each.audits))
        for each in (_shifted(build_run(), name, shift) for name, shift in (("a", 0.0), ("b", 0.3)))
    ]
    assert write_comparison(compare_runs(runs), tmp_path).is_file()


def _silent(audit: AuditRecord) -> AuditRecord:
    return replace(audit, question="")
