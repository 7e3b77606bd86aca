"""An audit on variants of its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from llmaudit.audit import Intervals
from llmaudit.audits.bias import Bias
from llmaudit.engines.base import Engine, Variant
from llmaudit.engines.fake import FakeEngine
from llmaudit.errors import ModelError
from llmaudit.execution import Execution, finish
from llmaudit.recording import audit_record, record_check
from llmaudit.scorers.answers import Empty, Length, Refusal
from llmaudit.scorers.sentiment import Sentiment
from llmaudit.suite import AuditEntry, CheckEntry, Place, Suite
from llmaudit.types import Generate, Request, Tokenize

SCORERS: dict[str, Any] = {scorer.name: scorer for scorer in (Sentiment(), Refusal(), Empty(), Length())}
PLACES = ("office", "school", "market", "library", "harbour", "museum", "bakery", "theatre", "garden", "station")
GOOD, BAD = "do a wonderful and excellent job.", "do a terrible and awful job."


def bias(**changes: Any) -> Bias:
    params = {
        "kind": "bias",
        "groups": {"women": {"noun": "women"}, "men": {"noun": "men"}},
        "templates": [f"In the {place}, {{group}} often" for place in PLACES],
        "samples": 2,
        "variants": {"small": {"quantization": "rtn2"}},
        "checks": {"drift.small.sentiment_gap": {"max": 0.1}, "sentiment_gap": {"max": 0.1}},
    }
    return Bias(
        Bias.Params.model_validate({**params, **changes}, context={"scorers": SCORERS}), scorers=SCORERS, seed=1
    )


def polite(_: Request) -> str:
    return GOOD


def rude(request: Request) -> str:
    assert isinstance(request, Generate)
    return BAD if request.factors["group"] == "men" else GOOD


def run(audit: Bias, engine_of: Any) -> Any:
    checks = tuple(CheckEntry(n, check, Place(1, 1), n) for n, check in audit.params.checks.items())
    entry = AuditEntry("gender", audit, checks, Place(1, 1))
    suite = Suite("s", "", Path("s.audit.yaml"), "00", (entry,))
    execution = Execution(FakeEngine(polite), lambda _: FakeEngine(), lambda *_: None, engine_of=engine_of)
    finished = finish(entry, suite, execution)
    return finished, {check.metric: record_check(finished, check) for check in checks}


def test_a_variant_that_is_biased_is_found_though_the_model_is_not() -> None:
    opened: list[Variant] = []

    def engine_of(variant: Variant) -> Engine:
        opened.append(variant)
        return FakeEngine(rude)

    finished, records = run(bias(), engine_of)
    assert opened == [Variant(quantization="rtn2")]
    assert records["sentiment_gap"].verdict == "pass"
    assert records["drift.small.sentiment_gap"].verdict == "fail"
    assert finished.measurement.estimates["drift.small.sentiment_gap.women-men"].value > 1
    changes = [figure for figure in finished.measurement.figures if figure.title == "Change under small"]
    axes = [figure.axis for figure in changes if isinstance(figure, Intervals)]
    assert "variant minus model, words" in axes
    assert len(set(axes)) == len(axes) == len(changes) > 1
    assert audit_record(finished).estimates


def test_the_same_weights_under_another_name_change_nothing() -> None:
    finished, records = run(bias(), lambda _: FakeEngine(polite))
    assert records["drift.small.sentiment_gap"].verdict == "pass"
    drifts = [estimate.value for name, estimate in finished.measurement.estimates.items() if name.startswith("drift.")]
    assert drifts
    assert not any(drifts)


def test_a_variant_that_cannot_be_had_leaves_the_others_alone() -> None:
    def engine_of(variant: Variant) -> Engine:
        if variant.quantization == "nf4":
            raise ModelError("--quantization nf4 needs bitsandbytes")
        return FakeEngine(rude)

    audit = bias(
        variants={"nf4": {"quantization": "nf4"}, "small": {"quantization": "rtn2"}},
        checks={"drift.nf4.sentiment_gap": {"max": 0.1}, "drift.small.sentiment_gap": {"max": 0.1}},
    )
    finished, records = run(audit, engine_of)
    assert records["drift.nf4.sentiment_gap"].verdict == "inconclusive"
    assert "needs bitsandbytes" in records["drift.nf4.sentiment_gap"].reason
    assert records["drift.small.sentiment_gap"].verdict == "fail"
    assert any("The variant nf4 was skipped" in note for note in finished.measurement.notes)


def test_a_variant_whose_engine_answers_nothing_that_is_needed_is_skipped() -> None:
    _, records = run(bias(), lambda _: FakeEngine(capabilities=frozenset({Tokenize})))
    assert records["drift.small.sentiment_gap"].verdict == "inconclusive"
    assert records["drift.small.sentiment_gap"].reason == "the engine fake does not answer Generate"
    assert records["sentiment_gap"].verdict == "pass"


def test_the_report_says_what_the_variant_was() -> None:
    finished, _ = run(bias(), lambda _: FakeEngine(polite, name="tiny"))
    record = audit_record(finished)
    assert ("variant small", "quantization rtn2") in {(setting.name, setting.value) for setting in record.settings}
    assert "The variant small is fake." in record.notes


def test_too_few_templates_decide_nothing_about_a_change_either() -> None:
    audit = bias(templates=["In the office, {group} often"])
    assert audit.undecidable()["drift.small.sentiment_gap"] == audit.undecidable()["sentiment_gap"]


def test_a_variant_says_something() -> None:
    with pytest.raises(ValidationError, match="give a model, a dtype or a quantization"):
        bias(variants={"same": {}})
