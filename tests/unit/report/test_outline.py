from __future__ import annotations

from dataclasses import replace

from llmaudit.report.outline import check_rows, sections
from llmaudit.run import Run


def test_checks_are_ordered_by_urgency_then_by_plan(run: Run) -> None:
    rows = check_rows(sections(run))
    assert [row.record.check for row in rows] == [
        "sentiment_gap", "kl", "occupation_gap", "regard_gap", "premium.shn_Mymr", "refusal_gap",
        "round_trip_failures", "toxicity_gap", "ppl_ratio",
    ]  # fmt: skip
    shuffled = replace(run, records=run.records[::-1], audits=run.audits[::-1])
    assert [row.record.check for row in check_rows(sections(shuffled))] == [row.record.check for row in rows]


def test_a_skipped_audit_has_a_section_too(run: Run) -> None:
    *_, last = sections(run)
    assert last.audit.audit == "perplexity"
    assert [row.record.check for row in last.checks] == ["ppl_ratio"]
    assert last.worst == "skipped"


def test_an_estimate_finds_its_check_by_metric(run: Run) -> None:
    first = sections(run)[0]
    adjusted = {row.estimate.metric: row.check.p_adjusted for row in first.estimates if row.check}
    assert adjusted["sentiment_gap"] == 0.0016
    assert "sentiment_gap.women-men" not in adjusted


def test_anchors_are_unique_and_safe(run: Run) -> None:
    names = ["a/b", "a-b", "A b", "日本", "../../etc/passwd", "x" * 300, "日", "a-b-2"]
    audits = tuple(replace(run.audits[0], suite="s", audit=name, order=place) for place, name in enumerate(names))
    anchors = [section.anchor for section in sections(replace(run, audits=audits, records=()))]
    assert len(set(anchors)) == len(names)
    assert all(
        len(anchor) < 100 and not set(anchor) - set("abcdefghijklmnopqrstuvwxyz0123456789._-") for anchor in anchors
    )
    assert not any(anchor.startswith(".") for anchor in anchors)
