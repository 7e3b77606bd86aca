from __future__ import annotations

from dataclasses import replace

from llmaudit.records import Waiver
from llmaudit.report import summary_markdown
from llmaudit.report.known_issues import known_issues, known_issues_table
from llmaudit.run import Run


def test_the_first_to_run_out_comes_first(run: Run) -> None:
    soon = replace(run.records[0], waiver=Waiver("soon", "2026-11-23"))
    issues = known_issues(replace(run, records=(*run.records[1:], soon)))
    assert [(issue.record.check, issue.days_left, issue.needless) for issue in issues] == [
        ("refusal_gap", 1, True),
        ("premium.shn_Mymr", 40, False),
    ]


def test_what_each_does_now(run: Run) -> None:
    records = tuple(replace(record, waiver=Waiver("known", "2027-01-01")) for record in run.records)
    assert {issue.record.verdict: issue.now for issue in known_issues(replace(run, records=records))} == {
        "fail": "fails, and is accepted",
        "pass": "passes: the waiver is no longer needed",
        "inconclusive": "inconclusive, which the waiver does not cover",
        "error": "broken, which the waiver does not cover",
        "measured": "not judged",
        "skipped": "not run",
    }


def test_the_table(run: Run) -> None:
    table = known_issues_table(run)
    assert table is not None
    ((check, now, expires, days, reason),) = table.rows
    assert (check, now) == ("tokenization/premiums/premium.shn_Mymr", "fails, and is accepted")
    assert (expires, days) == ("2027-01-01", 40)
    assert str(reason).startswith("No open tokenizer")
    assert known_issues_table(replace(run, records=())) is None


def test_they_are_in_sight(run: Run, page: str) -> None:
    assert "Known issues" in page
    assert "## Known issues" in summary_markdown(run)
    assert "No open tokenizer does better on Shan" in page
