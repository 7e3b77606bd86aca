"""The section of a report that holds a run against its baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from llmaudit.records import BaselineRecord, BaselineRun, BaselineVerdict, ChangedItem, ChangedItems
from llmaudit.report import summary_markdown, write_report
from llmaudit.report.against import against, baseline_tally, forest, margin
from llmaudit.run import Run
from llmaudit.types import Better
from tests.unit.report.conftest import HOSTILE


def _baseline(verdict: BaselineVerdict, difference: float | None = 0.02, **changes: object) -> BaselineRecord:
    found = BaselineRecord("f00", "old model", 0.1, verdict, f"because {verdict}", "pass", difference)
    interval = {} if difference is None else {"low": difference - 0.01, "high": difference + 0.01, "margin": 0.04}
    return replace(found, **(interval | {"clusters": 24, "detectable": 0.03} | changes))  # type: ignore[arg-type]


def _compared(run: Run) -> Run:
    verdicts: list[BaselineVerdict] = ["equivalent", "worse", "inconclusive", "not compared", "measured", "better"]
    records = [
        replace(record, baseline=_baseline(verdict, None if verdict == "not compared" else 0.02))
        for record, verdict in zip(run.records, verdicts, strict=False)
    ]
    item = ChangedItem("c1", HOSTILE, HOSTILE, "calm", 0.1, 0.9, {"group": "women"})
    changed = ChangedItems("sentiment", 96, 48, 30, 18, 2, (item,))
    audits = (replace(run.audits[0], changed=(changed,)), *run.audits[1:])
    kept = BaselineRun("f00", "old model", "2026-01-01T00:00:00+00:00", "--baseline latest", ("seed 0 there, 1 here",))
    return replace(run, records=(*records, *run.records[len(records) :]), audits=audits, baseline=kept)


def test_the_page_and_the_summary_show_differences_and_what_changed(run: Run, tmp_path: Path) -> None:
    compared = _compared(run)
    page = write_report(compared, tmp_path).read_text(encoding="utf-8")
    assert '<section id="baseline">' in page
    assert "What changed" in page
    assert "48 of 96 answers differ; sentiment rose for 30 and fell for 18; 2 requests have no counterpart." in page
    assert "seed 0 there, 1 here" in page
    assert "<img src=x" not in page
    assert (tmp_path / "figures" / "baseline.svg").is_file()
    summary = summary_markdown(compared)
    assert "## Against the baseline old model, run f00" in summary
    assert "✗ worse" in summary
    assert "> Not the same measurement: seed 0 there, 1 here." in summary
    assert "onerror" not in summary


def test_a_run_without_a_baseline_has_no_such_section(run: Run, tmp_path: Path) -> None:
    page = write_report(run, tmp_path).read_text(encoding="utf-8")
    assert 'id="baseline"' not in page
    assert "Against the baseline" not in summary_markdown(run)


def test_the_most_urgent_comes_first(run: Run) -> None:
    rows = against(_compared(run))
    assert [row.baseline.verdict for row in rows] == [
        "worse",
        "inconclusive",
        "not compared",
        "equivalent",
        "better",
        "measured",
    ]
    assert baseline_tally(rows) == (
        "6 checks against the baseline: 1 worse, 1 inconclusive, 1 not compared, 1 equivalent, 1 better, 1 measured."
    )


@pytest.mark.parametrize(
    ("better", "row"),
    [("lower", (0.5, 0.25, 0.75)), ("higher", (-0.5, -0.75, -0.25)), ("zero", (0.5, 0.25, 0.75))],
)
def test_the_forest_is_in_units_of_the_margin_and_larger_is_worse(
    run: Run, better: Better, row: tuple[float, float, float]
) -> None:
    found = next(record for record in run.records if record.estimate is not None)
    assert found.estimate is not None
    judged = replace(found, estimate=replace(found.estimate, better=better), baseline=_baseline("equivalent"))
    figure = forest(against(replace(run, records=(judged,))))
    assert figure is not None
    assert figure.rows[0][1:] == pytest.approx(row)
    assert figure.limits == ((-1.0, 1.0) if better == "zero" else (1.0,))


def test_there_is_no_forest_without_margins(run: Run) -> None:
    bare = replace(run.records[0], baseline=_baseline("measured", margin=None))
    assert forest(against(replace(run, records=(bare,)))) is None


def test_a_share_is_written_with_what_it_came_to(run: Run) -> None:
    limit = replace(run.records[0].limit, margin="10 %")
    share = replace(run.records[0], limit=limit)
    assert margin(share) == "10 %"
    assert margin(replace(share, baseline=_baseline("worse"))) == "0.04 (10 % of the baseline)"
