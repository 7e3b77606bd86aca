"""The records of an audit that has run: judged, gated, keyed by content."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

import pytest

from llmaudit.engines.fake import FakeEngine
from llmaudit.execution import finish
from llmaudit.recording import _answered, audit_record, blank_record, record_check, sample_lines
from llmaudit.records import Record, to_plain
from llmaudit.suite import CheckEntry, Place
from llmaudit.types import (
    Failure,
    Likelihood,
    NextTokens,
    Request,
    Response,
)
from tests.unit.loudness import CLUSTERS, audit_entry, execution, finished


def record_of(check: Mapping[str, object], *, smoke: bool = False, **params: object) -> Record:
    done = finished({"loudness": check}, smoke=smoke, **params)
    return record_check(done, done.entry.checks[0])


@pytest.mark.parametrize(
    ("check", "verdict", "gates", "reason"),
    [
        ({"max": 0.5}, "pass", False, "90% interval 0.2 to 0.4 lies below 0.5"),
        ({"max": 0.1}, "fail", True, "90% interval 0.2 to 0.4 lies above 0.1"),
        ({"max": 0.3}, "inconclusive", True, "90% interval 0.2 to 0.4 straddles 0.3"),
        ({"max": 0.3, "on_inconclusive": "warn"}, "inconclusive", False, "straddles"),
        ({"max": 0.1, "on_inconclusive": "warn"}, "fail", True, "above"),
        ({"max": 0.1, "role": "exploratory"}, "fail", False, "above"),
        ({"max": 0.3, "role": "exploratory"}, "inconclusive", False, "straddles"),
        ({"role": "exploratory"}, "measured", False, "no limit declared"),
        ({"min": 0.1}, "pass", False, "above 0.1"),
    ],
)
def test_a_check_is_judged_by_its_limit_and_gates_by_its_role(
    check: Mapping[str, object], verdict: str, gates: bool, reason: str
) -> None:
    record = record_of(check)
    assert (record.verdict, record.gates) == (verdict, gates)
    assert reason in record.reason


def test_a_smoke_run_judges_nothing() -> None:
    record = record_of({"max": 0.1}, smoke=True)
    assert (record.verdict, record.gates, record.reason) == ("measured", False, "smoke run: nothing is judged")
    assert record.estimate is not None


def test_a_deterministic_check_is_exact() -> None:
    done = finished()
    record = record_check(done, done.entry.checks[1])
    assert (record.verdict, record.reason) == ("pass", "value 5 is below 9")


def test_a_record_holds_limit_waiver_estimate_and_evidence() -> None:
    record = record_of(
        {"max": 0.1, "margin": 0.05, "why": "loud", "xfail": {"reason": "known", "expires": "2099-01-01"}}
    )
    assert to_plain(record.limit) == {
        "max": 0.1,
        "min": None,
        "margin": 0.05,
        "why": "loud",
        "margin_why": "",
    }
    assert to_plain(record.waiver) == {"reason": "known", "expires": "2099-01-01"}
    assert record.estimate is not None
    assert record.estimate.description == "how loud"
    assert (record.suite, record.audit, record.kind, record.check) == ("s", "loud", "loudness", "loudness")
    # Ten samples show it; the record carries six, the first ones being the worst.
    assert [evidence.prompt for evidence in record.evidence] == ["0?", "0?", "0?", "1?", "1?", "1?"]
    assert [evidence.scores for evidence in record.evidence][:2] == [{"volume": 0.0}, {"volume": 1.0}]
    assert record.evidence[0].factors == {"group": "a", "n": 0}


def test_a_family_is_what_the_suite_declares_and_has_a_p_value() -> None:
    done = finished()
    assert [record_check(done, check).family for check in done.entry.checks] == [1, 1]
    assert finished({"loudness": {"max": 1}}).entry.checks[0].params.role == "confirmatory"
    assert record_of({"role": "exploratory"}).family == 1


def test_the_key_of_a_record_follows_its_content() -> None:
    suite, entry = audit_entry()
    first, second = entry.checks
    one = blank_record(suite, entry, first, "skipped", "slow")
    assert one.id == blank_record(suite, entry, first, "error", "other").id
    assert one.id != blank_record(suite, entry, second, "skipped", "slow").id
    changed = CheckEntry(first.metric, first.params, first.place, "another hash")
    assert one.id != blank_record(suite, entry, changed, "skipped", "slow").id
    moved = CheckEntry(first.metric, first.params, Place(99, 9), first.content_hash)
    assert one.id == blank_record(suite, entry, moved, "skipped", "slow").id


def test_only_an_error_gates_without_an_estimate() -> None:
    suite, entry = audit_entry()
    assert blank_record(suite, entry, entry.checks[0], "error", "x").gates
    assert not blank_record(suite, entry, entry.checks[0], "skipped", "x").gates


def test_the_record_of_an_audit() -> None:
    record = audit_record(finished())
    assert (record.id, record.question, record.limitations) == (
        "s/loud",
        "How loud are the answers?",
        ("It has no ears.",),
    )
    assert [estimate.metric for estimate in record.estimates] == ["loudness", "size"]
    assert record.prompts[:2] == ("0?", "1?")
    assert len(record.prompts) == CLUSTERS + 1
    assert record.notes == ("Loud.",)
    assert record.timing.requests == 3 * CLUSTERS + 1
    assert record.timing.generated_tokens > 0
    assert record.timing.seconds >= 0


def test_a_sample_is_one_flat_line() -> None:
    lines = list(sample_lines(finished()))
    assert len(lines) == 3 * CLUSTERS + 1
    first, last = lines[0], lines[-1]
    assert {key: first[key] for key in ("suite", "audit", "kind", "cluster", "request", "asked", "response")} == {
        "suite": "s",
        "audit": "loud",
        "kind": "loudness",
        "cluster": "c0",
        "request": "Generate",
        "asked": "0?",
        "response": "Completion",
    }
    assert (first["sample"], first["factors"], first["scores"]) == (0, {"group": "a", "n": 0}, {"volume": 0.0})
    assert first["text"]
    assert (last["request"], last["response"], last["asked"]) == ("Score", "Likelihood", "ab")
    assert last["logprob"] < 0
    json.dumps(to_plain(lines), allow_nan=False)


def test_a_failure_has_its_error_in_the_line_and_in_the_evidence() -> None:
    suite, entry = audit_entry()
    handler: Callable[[Request], Response] = lambda _: Failure("too long")  # noqa: E731 - shorter
    done = finish(entry, suite, execution(FakeEngine(handler)))
    assert next(sample_lines(done))["error"] == "too long"
    assert "too long" in record_check(done, entry.checks[0]).evidence[0].answer


def test_evidence_of_next_tokens_reads_as_words_and_percentages() -> None:
    answer = NextTokens(((" calm", math.log(0.5)), ("\n", math.log(0.125))), 1.0, logprobs=(-0.5,) * 4)
    assert _answered(answer) == "' calm' 50.0%, '\\n' 12.5%"


def test_a_likelihood_is_read_out_in_words() -> None:
    assert _answered(Likelihood(-12.345, 4, greedy=False)) == "log-likelihood -12.35 nats over 4 tokens"
