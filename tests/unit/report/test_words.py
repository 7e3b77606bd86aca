from __future__ import annotations

from dataclasses import replace

import pytest

from llmaudit.records import LimitRecord, Record, Waiver
from llmaudit.report.words import fails_run, limit, status, tally_sentence
from llmaudit.run import Run


@pytest.fixture
def failed(run: Run) -> Record:
    return next(record for record in run.records if record.check == "sentiment_gap")


def test_a_failure_is_waived_until_the_waiver_expires(failed: Record) -> None:
    waived = replace(failed, waiver=Waiver("known", "2026-12-01"))
    assert status(waived, "2026-11-30") == "waived"
    assert status(waived, "2026-12-01") == "fail"
    assert fails_run(waived, "2026-12-01")
    assert not fails_run(waived, "2026-11-30")


def test_a_waiver_excuses_no_other_outcome(failed: Record) -> None:
    for verdict in ("pass", "error", "inconclusive", "skipped"):
        assert status(replace(failed, verdict=verdict, waiver=Waiver("x", "2030-01-01")), "2026-11-22") == verdict


def test_the_tally_is_in_words_and_urgent_first(run: Run) -> None:
    assert tally_sentence(run) == (
        "9 checks: 1 failed, 1 error, 2 inconclusive, 1 waived, 2 passed, 1 measured, 1 skipped."
    )
    assert tally_sentence(replace(run, records=run.records[:1])) == "1 check: 1 passed."
    assert tally_sentence(replace(run, records=())) == "No check was run."


@pytest.mark.parametrize(
    ("bounds", "signed", "one_sided", "exact"),
    [
        (LimitRecord(max=0.1), "within ±0.1", "below 0.1", "at most 0.1"),
        (LimitRecord(min=0.1), "outside ±0.1", "above 0.1", "at least 0.1"),
        (LimitRecord(min=0, max=5), "size between 0 and 5", "between 0 and 5", "between 0 and 5"),
        (LimitRecord(), "–", "–", "–"),
    ],
)
def test_limits(failed: Record, bounds: LimitRecord, signed: str, one_sided: str, exact: str) -> None:
    assert failed.estimate is not None
    bounded = replace(failed, limit=bounds)
    lower = replace(failed.estimate, better="lower")
    assert limit(bounded) == signed
    assert limit(replace(bounded, estimate=lower)) == one_sided
    assert limit(replace(bounded, estimate=replace(lower, deterministic=True))) == exact
    assert limit(replace(bounded, estimate=None)) == one_sided
