"""What became of the checks of a suite together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmaudit.families import adjust_p_values, family_records
from llmaudit.records import EstimateRecord, LimitRecord, Outcome, Record, SuiteRecord
from llmaudit.types import Estimate

_SUITE = SuiteRecord("s", "", "s.audit.yaml", "cd" * 32, {"confirmatory": 3, "exploratory": 0})


def record(check: str, verdict: Outcome, p_value: float | None, family: int = 3) -> Record:
    estimate = Estimate(check, 0.5, None, "points", "lower", 20, 10, 0, p_value=p_value)
    return Record(
        id=check, suite="s", audit="a", kind="bias", check=check, metric=check, role="confirmatory", verdict=verdict,
        reason="", limit=LimitRecord(max=1), estimate=EstimateRecord.of(estimate), family=family,
    )  # fmt: skip


def test_passing_and_discovering_are_kept_apart() -> None:
    """A difference may be surely there and small enough to pass, or fail its limit and not be told from zero."""
    records = adjust_p_values((record("a", "pass", 0.001), record("b", "fail", 0.04), record("c", "pass", 0.9)))
    (family,) = family_records([_SUITE], records)
    assert (family.declared, family.seen, family.ran, family.passed) == (3, 3, 3, 2)
    assert family.adjustment == "Holm over 3"
    assert family.discovered == ("a/a",), "0.04 alone would be below 0.05; over three checks it is not"
    assert not family.narrowed


def test_a_narrowed_run_discovers_nothing() -> None:
    (family,) = family_records([_SUITE], adjust_p_values((record("a", "pass", 1e-9),)))
    assert family.narrowed
    assert family.adjustment == "not adjusted: 1 of the 3 checks of the family ran"
    assert family.discovered == ()


@pytest.mark.parametrize("verdict", ["skipped", "error"])
def test_a_check_that_did_not_run_was_seen(verdict: Outcome) -> None:
    records = (record("a", "pass", 0.5), record("b", "pass", 0.5), replace(record("c", verdict, None), estimate=None))
    (family,) = family_records([_SUITE], adjust_p_values(records))
    assert (family.seen, family.ran) == (3, 2)
    assert not family.narrowed
    assert family.adjustment == "not adjusted: 2 of the 3 checks of the family ran"


def test_a_suite_of_an_older_run_has_no_families() -> None:
    assert family_records([replace(_SUITE, declared={})], (record("a", "pass", 0.5),)) == ()
