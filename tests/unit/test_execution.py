"""One audit on an engine: asked in order, counted, judged, recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest

import llmaudit.execution
from llmaudit.audit import CheckParams
from llmaudit.engines.base import Variant
from llmaudit.engines.fake import FakeEngine
from llmaudit.errors import AuditError, CapabilityError, ModelError, StoreError
from llmaudit.execution import Execution, finish
from llmaudit.types import (
    Completion,
    Failure,
    Generate,
    Likelihood,
    NextToken,
    Request,
    Response,
    Sample,
    Score,
    Tokenize,
)
from tests.unit.loudness import audit_entry, execution, finished


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


def test_check_params_of_the_suite_are_the_checks_own() -> None:
    done = finished({"loudness": {"max": 0.3, "role": "exploratory"}})
    assert isinstance(done.entry.checks[0].params, CheckParams)


def test_numbers_are_asked_in_portions_that_do_not_depend_on_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llmaudit.execution, "_PORTION", 3)
    asked: list[Request] = [Score("a", str(number), "c") for number in range(7)]
    asked[2:2] = [Generate("drawn", "c"), Tokenize("cut", "c")]
    everything = [[2, 3], [0, 1, 4], [5, 6, 7], [8]]
    assert llmaudit.execution._calls(asked, {}) == everything
    known = {index: Failure("known") for index in (2, 0, 1, 4, 6)}
    assert llmaudit.execution._calls(asked, known) == [[3], [5, 6, 7], [8]]
    assert llmaudit.execution._calls(asked, dict.fromkeys(range(9), Failure("known"))) == []


def test_the_time_for_answers_is_told_apart() -> None:
    class Slow(FakeEngine):
        def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
            for answer in super().run(requests):
                time.sleep(0.01)
                yield answer

    suite, entry = audit_entry()
    timing = finish(entry, suite, execution(Slow())).timing
    assert 0.01 * timing.requests <= timing.engine_seconds <= timing.seconds


def test_what_is_known_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    # Asked again for the sake of its company, it might come out with other last digits.
    known = Likelihood(-1.0, 1, greedy=True)
    run = execution(FakeEngine(lambda _: Likelihood(-2.0, 1, greedy=True)))
    monkeypatch.setattr(Execution, "_kept", lambda *_: {0: known})
    samples = run.answer([Score("a", "b", "c"), Score("a", "c", "c")])
    assert [sample.response for sample in samples] == [known, Likelihood(-2.0, 1, greedy=True)]


def test_an_engine_is_told_when_nobody_waits_for_it_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    class Borrowing(FakeEngine):
        def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
            try:
                yield from super().run(requests)
            finally:
                closed.append(True)

    def full(*_: object) -> None:
        raise StoreError("full")

    run = execution(Borrowing())
    monkeypatch.setattr(Execution, "_keep", full)
    with pytest.raises(StoreError):
        run.answer([Generate("a", "c"), Generate("b", "c")])
    assert closed == [True]


def test_another_model_is_opened_asked_and_closed() -> None:
    closed: list[str] = []

    class Other(FakeEngine):
        def close(self) -> None:
            closed.append(self.info.name)

    run = Execution(
        FakeEngine(),
        lambda _: FakeEngine(),
        lambda _, __: None,
        engine_of=lambda variant: Other(lambda _: "other", name=str(variant.quantization)),
    )
    engine = run.open_model(Variant(quantization="nf4"))
    (sample,) = run.answer([Generate("a", "c")], engine)
    assert isinstance(sample.response, Completion)
    assert sample.response.text == "other"
    run.close()
    assert closed == ["nf4"]


def test_a_run_without_a_way_to_another_model_says_so() -> None:
    with pytest.raises(ModelError, match="no way to load another model"):
        execution(FakeEngine()).open_model(Variant(model="other"))


def test_a_kind_that_scores_other_samples_than_it_returns_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    suite, entry = audit_entry()
    measure = entry.audit.measure
    monkeypatch.setattr(entry.audit, "measure", lambda samples: measure(samples[:2]))
    with pytest.raises(AuditError, match=r"the kind loudness gives 2 scores of volume for \d+ samples"):
        finish(entry, suite, execution())
