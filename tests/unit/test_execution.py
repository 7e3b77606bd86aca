"""One audit on an engine: asked in order, counted, judged, recorded."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from llmaudit.audit import Audit, AuditParams, CheckParams, Context, Measurement, Metric, Table
from llmaudit.engines.base import Engine
from llmaudit.engines.fake import FakeEngine
from llmaudit.errors import CapabilityError
from llmaudit.execution import (
    Execution,
    Finished,
    audit_record,
    blank_record,
    finish,
    record_check,
    sample_lines,
)
from llmaudit.records import Record, to_plain
from llmaudit.suite import AuditEntry, CheckEntry, Place, Suite
from llmaudit.types import (
    Completion,
    Estimate,
    Factor,
    Failure,
    Generate,
    Interval,
    Likelihood,
    NextToken,
    Request,
    Response,
    Sample,
    Score,
    Tokenize,
)

CLUSTERS = 12


class LoudnessParams(AuditParams):
    """Parameters."""

    low: float = 0.2
    high: float = 0.4
    tokenizer: str | None = None
    broken: bool = False


class Loudness(Audit[LoudnessParams]):
    """How loud are the answers?"""

    kind = "loudness"
    Params = LoudnessParams
    needs: ClassVar[frozenset[type[Request]]] = frozenset({Generate, Score})
    limitations: ClassVar[tuple[str, ...]] = ("It has no ears.",)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {
            "loudness": Metric("how loud", "dB", "lower"),
            "size": Metric("how large", "tokens", "lower", deterministic=True),
        }

    def requests(self) -> Iterator[Request]:
        for number in range(CLUSTERS):
            for sample in range(3):
                factors: dict[str, Factor] = {"group": "a", "n": number % 2}
                yield Generate(f"{number}?", f"c{number}", sample=sample, factors=factors)
        yield Score("a", "b", "c0")

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        interval = Interval(self.params.low, self.params.high, 0.90, "t on cluster means")
        values = {f"c{number}": math.nan for number in range(CLUSTERS)}
        loudness = Estimate(
            "loudness", 0.3, interval, "dB", "lower", len(samples), CLUSTERS, p_value=0.01, cluster_values=values
        )
        size = Estimate("size", 5.0, None, "tokens", "lower", 1, 1, deterministic=True)
        return Measurement(
            {"loudness": loudness, "size": size},
            tables=(Table("t", ("a",), ((1,),)),),
            scores={"volume": tuple(float(number) for number in range(len(samples)))},
            evidence={"loudness": tuple(range(min(10, len(samples))))},
            notes=("Loud.",),
        )

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        if self.params.tokenizer:
            other = context.open_tokenizer(self.params.tokenizer)
            context.answer([Tokenize("x", "c")], other)
        if self.params.broken:
            raise RuntimeError("broken")
        return super().run(context)


def audit_entry(checks: Mapping[str, Mapping[str, object]] | None = None, **params: object) -> tuple[Suite, AuditEntry]:
    limits = {"loudness": {"max": 0.5}, "size": {"max": 9}} if checks is None else checks
    parsed = LoudnessParams.model_validate({"kind": "loudness", "checks": limits, **params})
    entries = tuple(CheckEntry(name, check, Place(1, 1), f"hash of {name}") for name, check in parsed.checks.items())
    entry = AuditEntry("loud", Loudness(parsed, scorers={}), entries, Place(1, 1))
    return Suite("s", "", Path("s.audit.yaml"), "00", (entry,)), entry


def execution(engine: Engine | None = None, **changes: object) -> Execution:
    return Execution(
        engine=engine or FakeEngine(),
        tokenizer_of=lambda _: FakeEngine(),
        progress=lambda _, __: None,
        smoke=bool(changes.get("smoke")),
    )


def finished(
    checks: Mapping[str, Mapping[str, object]] | None = None, *, smoke: bool = False, **params: object
) -> Finished:
    suite, entry = audit_entry(checks, **params)
    return finish(entry, suite, execution(smoke=smoke))


def record_of(check: Mapping[str, object], *, smoke: bool = False, **params: object) -> Record:
    done = finished({"loudness": check}, smoke=smoke, **params)
    return record_check(done, done.entry.checks[0])


class Backwards(FakeEngine):
    """Answers in whatever order suits it, as an engine may."""

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        yield from reversed(list(super().run(requests)))


def test_samples_come_in_the_order_of_the_requests() -> None:
    asked = [Generate(str(number), "c") for number in range(5)]
    samples = execution(Backwards()).answer(asked)
    assert [sample.request for sample in samples] == asked
    assert samples == execution(FakeEngine()).answer(asked)


def test_progress_counts_up_to_all() -> None:
    told: list[tuple[int, int]] = []
    run = Execution(FakeEngine(), lambda _: FakeEngine(), lambda done, asked: told.append((done, asked)))
    run.answer([Generate("a", "c"), Generate("b", "c")])
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_tokens_are_counted_by_what_they_cost() -> None:
    def handler(request: Request) -> Response:
        if isinstance(request, Generate):
            return Completion("x", 7, "stop", "p")
        return Likelihood(-1.0, 5, greedy=True) if isinstance(request, Score) else Failure("no")

    run = execution(FakeEngine(handler))
    run.answer([Generate("a", "c"), Generate("b", "c"), Score("a", "b", "c"), NextToken("a", "c")])
    assert (run.requests, run.generated_tokens, run.scored_tokens) == (4, 14, 5)


def test_a_failed_request_is_a_sample_like_any_other() -> None:
    samples = execution(FakeEngine(lambda _: Failure("too long"))).answer([Generate("a", "c")])
    assert samples == [Sample(Generate("a", "c"), Failure("too long"))]


def test_an_engine_must_answer_everything() -> None:
    class Forgetful(FakeEngine):
        def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
            yield from list(super().run(requests))[1:]

    with pytest.raises(AssertionError, match="left a request unanswered"):
        execution(Forgetful()).answer([Generate("a", "c"), Generate("b", "c")])


def test_a_smoke_run_asks_two_of_every_cell() -> None:
    engine = FakeEngine()
    suite, entry = audit_entry()
    done = finish(entry, suite, execution(engine, smoke=True))
    assert len(engine.requests) == len(done.samples) == 2 + 2 + 1
    assert done.timing.requests == 5


def test_an_engine_without_the_capability_is_refused_before_it_is_asked() -> None:
    engine = FakeEngine(capabilities=frozenset({Tokenize}))
    suite, entry = audit_entry()
    with pytest.raises(CapabilityError, match="the engine fake does not answer Generate, Score"):
        finish(entry, suite, execution(engine))
    assert engine.requests == []


class Closing(FakeEngine):
    closed = False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("broken", [False, True])
def test_another_tokenizer_is_closed_whatever_happens_and_the_engine_is_not(*, broken: bool) -> None:
    engine, other = Closing(), Closing()
    suite, entry = audit_entry(tokenizer="other", broken=broken)
    run = Execution(engine, lambda _: other, lambda _, __: None)
    if broken:
        with pytest.raises(RuntimeError, match="broken"):
            finish(entry, suite, run)
    else:
        finish(entry, suite, run)
        assert [type(request) for request in other.requests] == [Tokenize]
    assert (engine.closed, other.closed) == (False, True)


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
    assert to_plain(record.limit) == {"max": 0.1, "min": None, "margin": 0.05, "why": "loud"}
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


def test_check_params_of_the_suite_are_the_checks_own() -> None:
    done = finished({"loudness": {"max": 0.3, "role": "exploratory"}})
    assert isinstance(done.entry.checks[0].params, CheckParams)
