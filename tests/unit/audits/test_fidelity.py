"""Kind fidelity, on fake engines with planted damage."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from llmaudit.audit import Bars, Curves, Intervals, Measurement
from llmaudit.audits.fidelity import Fidelity, pytest_llmaudit_audits
from llmaudit.engines.base import Engine, Variant
from llmaudit.engines.fake import VOCABULARY, FakeEngine
from llmaudit.errors import CapabilityError, EngineError, ModelError
from llmaudit.execution import Execution, finish
from llmaudit.recording import audit_record, record_check
from llmaudit.suite import AuditEntry, CheckEntry, Place, Suite
from llmaudit.types import Generate, Likelihood, Request, Response, Sample, Score, Tokenize

PLACES = ("river", "market", "school", "station", "museum", "harbour", "bakery", "garden", "theatre", "office")
DOCUMENTS = [f"The {place} opens at {hour} and closes late, they say." for place in PLACES for hour in range(4)]
ITEMS = [{"question": f"The {place} is", "options": ["open", "shut", "gone"], "answer": 0} for place in PLACES]
BASE: dict[str, Any] = {
    "kind": "fidelity",
    "documents": {"notes": DOCUMENTS},
    "variants": {"same": {"dtype": "float16"}, "broken": {"quantization": "rtn2"}},
    "choices": ITEMS,
    "continuations": {"prompts": [f"At the {place}" for place in PLACES], "max_new_tokens": 6},
    "checks": {"kl_mean.same": {"max": 0.01}, "kl_mean.broken": {"max": 0.01}, "flips": {"max": 0.1}},
}


@cache
def noise(seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=VOCABULARY)


def logits(ids: Sequence[int]) -> Any:
    return np.stack([noise(token) for token in ids])


def shaken(ids: Sequence[int]) -> Any:
    """A layer that is broken: noise on every prediction."""
    return np.stack([noise(token) + noise(token + 9000) for token in ids])


def right(request: Request) -> Response | str | None:
    if isinstance(request, Score):
        return Likelihood(-1.0 if request.factors["option"] == 0 else -2.0, 1, greedy=False)
    return "one two three four five six" if isinstance(request, Generate) else None


def wrong_sometimes(request: Request) -> Response | str | None:
    if isinstance(request, Score) and any(place in request.context for place in PLACES[:4]):
        return Likelihood(-1.0 if request.factors["option"] == 1 else -2.0, 1, greedy=False)
    return "one two three. Or not" if isinstance(request, Generate) else right(request)


def reference() -> FakeEngine:
    return FakeEngine(right, logits=logits)


def broken() -> FakeEngine:
    return FakeEngine(wrong_sometimes, logits=shaken)


def engine_of(variant: Variant) -> Engine:
    return broken() if variant.quantization else reference()


def fidelity(**changes: Any) -> Fidelity:
    params = {name: value for name, value in {**BASE, **changes}.items() if value is not None}
    return Fidelity(Fidelity.Params.model_validate(params), scorers={}, seed=1)


def run(
    audit: Fidelity, engine: Engine | None = None, opening: Any = engine_of, tokenizer: Any = FakeEngine, **how: Any
) -> tuple[Measurement, Sequence[Sample]]:
    execution = Execution(engine or reference(), lambda _: tokenizer(), lambda *_: None, engine_of=opening, **how)
    return audit.run(execution)


@pytest.fixture(scope="module")
def measured() -> tuple[Fidelity, Measurement, Sequence[Sample]]:
    audit = fidelity()
    return audit, *run(audit)


def test_every_metric_is_known_before_anything_runs_and_all_are_measured(measured: Any) -> None:
    audit, found, _ = measured
    assert set(found.estimates) == set(audit.metrics) == set(audit.offered)
    for name, estimate in found.estimates.items():
        metric = audit.metrics[name]
        assert (estimate.metric, estimate.unit, estimate.better) == (name, metric.unit, metric.better)
        assert estimate.deterministic == metric.deterministic


def test_a_planted_broken_layer_is_found_and_the_same_weights_are_not(measured: Any) -> None:
    _, found, _ = measured
    values = {name: estimate.value for name, estimate in found.estimates.items()}
    assert values["kl_mean.same"] == values["kl_max.same"] == values["log_perplexity_ratio.same"] == 0
    assert values["top1_agreement.same"] == values["top5_agreement.same"] == 1
    assert values["perplexity.same"] == values["perplexity.reference"]
    assert values["kl_mean.broken"] > 0.3
    assert values["kl_mean"] == values["kl_mean.broken"]
    assert values["top1_agreement.broken"] < 0.5
    assert values["kl_median.broken"] < values["kl_p99.broken"] <= values["kl_max.broken"]
    assert (values["flips.same"], values["flips.broken"], values["harmful_flips"]) == (0, 0.4, 0.4)
    assert (values["accuracy.reference"], values["accuracy.broken"], values["accuracy"]) == (1, 0.6, 0.6)
    # "one two three" are three tokens of the fake tokenizer; then one goes on with " four", the other with ".".
    assert (values["first_divergence.same"], values["first_divergence"]) == (6, 3)


def test_verdicts_and_the_record_of_a_comparison(measured: Any) -> None:
    audit, _, _ = measured
    checks = tuple(CheckEntry(name, check, Place(1, 1), name) for name, check in audit.params.checks.items())
    entry = AuditEntry("weights", audit, checks, Place(1, 1))
    execution = Execution(reference(), lambda _: FakeEngine(), lambda *_: None, engine_of=engine_of)
    finished = finish(entry, Suite("s", "", Path("s.audit.yaml"), "00", (entry,)), execution)
    verdicts = {check.metric: record_check(finished, check).verdict for check in checks}
    assert verdicts == {"kl_mean.same": "pass", "kl_mean.broken": "fail", "flips": "inconclusive"}
    assert audit_record(finished).estimates


def test_evidence_shows_both_answers(measured: Any) -> None:
    _, found, samples = measured
    flips = [samples[index] for index in found.evidence["flips.broken"]]
    assert [sample.request.factors["model"] for sample in flips] == ["reference", "broken"] * 3
    assert [sample.request.factors["option"] for sample in flips] == [0, 1] * 3
    assert flips[0].request.context == flips[1].request.context == "The river is"
    assert found.evidence["flips"] == found.evidence["flips.broken"]
    assert found.evidence["flips.same"] == ()
    texts = [samples[index].response.text for index in found.evidence["first_divergence.broken"]]
    assert texts[:2] == ["one two three four five six", "one two three. Or not"]


def test_samples_are_documents_then_what_each_model_answered(measured: Any) -> None:
    _, _, samples = measured
    parts = [sample.request.factors["part"] for sample in samples]
    assert parts[:40] == ["documents"] * 40
    assert parts[40:80] == ["choice"] * 30 + ["continuation"] * 10
    models = [sample.request.factors["model"] for sample in samples[40:]]
    assert models == ["reference"] * 40 + ["same"] * 40 + ["broken"] * 40


def test_figures_and_tables(measured: Any) -> None:
    _, found, _ = measured
    divergence, curves, flips, changes = found.figures
    assert isinstance(divergence, Intervals)
    assert isinstance(curves, Curves)
    assert isinstance(flips, Bars)
    assert isinstance(changes, Bars)
    assert [row[0] for row in divergence.rows] == ["same", "broken"]
    assert [curve.labels for curve in curves.panels[0].curves] == [("same", "broken")]
    assert flips.rows == (("same", 0.0), ("broken", 0.4))
    summary, sizes, worst = found.tables
    assert [row[0] for row in summary.rows] == ["reference", "same", "broken"]
    assert [row[0] for row in sizes.rows] == ["reference", "same", "broken"]
    assert worst.columns == ("document", "same", "broken")
    assert len(worst.rows) == 10
    assert list(worst.rows) == sorted(worst.rows, key=lambda row: -row[2])


def test_the_same_seed_gives_the_same_measurement(measured: Any) -> None:
    _, found, samples = measured
    again, others = run(fidelity())
    assert again.estimates == found.estimates
    assert list(others) == list(samples)


def test_a_variant_that_cannot_be_had_is_skipped_and_the_others_go_on() -> None:
    def opening(variant: Variant) -> Engine:
        if variant.quantization:
            raise ModelError("--quantization nf4 needs bitsandbytes")
        return reference()

    audit = fidelity()
    found, _ = run(audit, opening=opening)
    assert set(found.estimates) == set(audit.metrics)
    assert found.estimates["kl_mean.same"].value == 0
    assert found.estimates["kl_mean.broken"].problem == "--quantization nf4 needs bitsandbytes"
    assert found.estimates["flips"].problem == "broken: --quantization nf4 needs bitsandbytes"
    assert found.notes == ("The variant broken was skipped: --quantization nf4 needs bitsandbytes",)


def test_of_no_variant_at_all_every_metric_says_why() -> None:
    def opening(_: Variant) -> Engine:
        raise ModelError("no memory")

    audit = fidelity()
    found, _ = run(audit, opening=opening)
    assert set(found.estimates) == set(audit.metrics)
    assert all(e.problem for name, e in found.estimates.items() if name.endswith((".same", ".broken")))
    assert found.estimates["accuracy.reference"].value == 1


class Counting(FakeEngine):
    """Tells when it is loaded and closed."""

    log: list[str]

    def __init__(self, log: list[str], name: str) -> None:
        super().__init__(right, logits=logits)
        self.log, self._called = log, name
        log.append(f"open {name}")

    def close(self) -> None:
        self.log.append(f"close {self._called}")

    def park(self) -> None:
        self.log.append(f"park {self._called}")

    def baseline(self, spans: Any, disk: int) -> Any:
        self.log.append(f"read {len(spans)}")
        return super().baseline(spans, disk)


def test_one_variant_is_in_memory_at_a_time() -> None:
    log: list[str] = []
    run(fidelity(), opening=lambda v: Counting(log, v.dtype or "rtn2"))
    assert log[:4] == ["open float16", "close float16", "open rtn2", "close rtn2"]


def test_models_that_do_not_fit_together_take_turns_in_portions_that_fit_the_disk(measured: Any) -> None:
    log: list[str] = []

    def opening(variant: Variant) -> Engine:
        log.append(f"open {variant.dtype or variant.quantization}")
        return engine_of(variant)

    # 12 tokens a document, 4 bytes for each of 1024 tokens: 49 kB, of which 16 fit in 0.8 MB.
    found, samples = run(fidelity(together="no", disk="0.8 MB"), Counting(log, "reference"), opening)
    turn = ["park reference", "open float16", "open rtn2"]
    assert log == ["open reference", "read 16", *turn, "read 16", *turn, "read 8", *turn]
    _, whole, others = measured
    assert list(samples) == list(others)
    for name in ("kl_mean.broken", "kl_p90.broken", "perplexity.reference", "log_perplexity_ratio.broken"):
        assert found.estimates[name] == whole.estimates[name]


def test_a_document_beyond_the_disk_is_refused_where_models_take_turns() -> None:
    with pytest.raises(CapabilityError, match="disk: the predictions for one document"):
        run(fidelity(together="no", disk="0.01 MB"))


def test_another_vocabulary_is_refused_with_both_named_before_anything_is_computed() -> None:
    class Other(FakeEngine):
        vocabulary = "other"

    audit = fidelity(variants={"small": {"model": "gpt2"}}, checks={"kl_mean": {"max": 1}})
    engine = reference()
    with pytest.raises(
        ModelError, match=r"the reference fake \(1024 tokens\) and the variant small, fake .* different"
    ):
        run(audit, engine, tokenizer=Other)
    assert not engine.requests


def test_a_variant_whose_vocabulary_is_known_late_is_refused_too() -> None:
    class Wider(FakeEngine):
        predicted = 2048

    with pytest.raises(ModelError, match="have different vocabularies"):
        run(fidelity(), opening=lambda _: Wider())


def test_an_engine_that_tells_no_probabilities_is_skipped() -> None:
    class Endpoint:
        info = FakeEngine().info
        capabilities = FakeEngine().capabilities

        def run(self, requests: Any) -> Any:
            raise AssertionError

        def close(self) -> None:
            raise AssertionError

    with pytest.raises(CapabilityError, match="does not give the probability of every token"):
        run(fidelity(), Endpoint())


def test_another_reference_is_compared_with_the_model_under_audit() -> None:
    audit = fidelity(reference={"model": "gpt2"}, variants=None, checks={"kl_mean": {"max": 1}})
    assert "kl_mean.model" in audit.metrics
    found, _ = run(audit, broken(), opening=lambda _: reference())
    assert found.estimates["kl_mean.model"].value > 0.3
    assert found.estimates["accuracy.reference"].value == 1


@pytest.mark.parametrize("window", ["document", "llama.cpp", {"tokens": 6, "stride": 3}])
def test_every_window_measures_every_metric(window: Any) -> None:
    documents = [f"{text} {number} " + "and so on and on " * 20 for number, text in enumerate(DOCUMENTS)]
    audit = fidelity(
        window=window, documents=documents, choices=None, continuations=None, checks={"kl_mean": {"max": 1}}
    )
    found, _ = run(audit)
    assert set(found.estimates) == set(audit.metrics)
    assert found.estimates["kl_mean.same"].value == 0
    clusters = found.estimates["kl_mean.broken"].clusters
    assert clusters == 40 if window != "llama.cpp" else 2 <= clusters < 40


def test_a_text_shorter_than_one_window_is_refused() -> None:
    with pytest.raises(EngineError, match="notes 01: 12 tokens are fewer than one window of 64"):
        run(fidelity(window={"tokens": 64, "stride": 32}))


def test_a_file_of_documents(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n\n".join(DOCUMENTS), encoding="utf-8")
    params = {name: value for name, value in BASE.items() if name not in {"documents", "choices", "continuations"}}
    params |= {"data": {"path": "texts.txt"}, "checks": {"kl_mean": {"max": 1}}}
    audit = Fidelity(Fidelity.Params.model_validate(params, context={"folder": tmp_path}), scorers={})
    found, _ = run(audit)
    assert found.estimates["kl_mean"].clusters == 40
    assert "texts.txt:1" in found.estimates["kl_mean.broken"].cluster_values
    assert "sha256" in str(audit.params.model_dump())


def test_items_alone_need_no_documents() -> None:
    audit = fidelity(documents=None, continuations=None, checks={"flips": {"max": 0.1}})
    assert not {"kl_mean", "speed_ratio", "first_divergence"} & set(audit.metrics)
    found, _ = run(audit)
    assert found.estimates["flips"].value == 0.4


def test_a_smoke_run_asks_two_of_each() -> None:
    _, samples = run(fidelity(), smoke=True)
    parts = [sample.request.factors["part"] for sample in samples]
    assert (parts.count("documents"), parts.count("choice"), parts.count("continuation")) == (2, 3 * 6, 3 * 2)


def test_too_few_of_anything_is_said_before_it_runs() -> None:
    few = fidelity(documents=DOCUMENTS[:8], choices=ITEMS[:8], continuations={"prompts": ["a", "b"]})
    problems = few.problems()
    assert {"kl_mean", "kl_mean.same", "flips.broken", "first_divergence", "accuracy.reference"} <= set(problems)
    assert not {"kl_max", "stored_bytes", "load_seconds"} & set(problems)
    assert not fidelity().problems()
    some = fidelity(documents=DOCUMENTS[:20]).problems()
    assert set(some) == {
        f"{name}{facet}" for name in ("kl_median", "kl_p90", "kl_p99", "kl_p999") for facet in ("", ".same", ".broken")
    }
    assert "20 documents, an interval of a percentile needs 30" in some["kl_p99"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": {}}, "variants: needs at least one variant"),
        ({"variants": {"a": {"dtype": "float16"}, "b": {"dtype": "float16"}}}, "a and b are the same variant"),
        ({"variants": {"reference": {"dtype": "float16"}}}, "'reference' is what the report calls another model"),
        ({"variants": {"a": {"quantization": "nf5"}}}, "unknown quantization 'nf5'; did you mean 'nf4'"),
        ({"documents": None, "choices": None, "continuations": None}, "needs documents"),
        ({"documents": ["One.", "One."]}, "text 2 is the same text as text 1"),
        ({"window": {"tokens": 8, "stride": 9}}, "stride 9 is longer"),
        ({"window": "lama.cpp"}, "llama.cpp"),
        ({"choices": [{"question": "Q", "options": ["a"], "answer": 0}]}, "at least 2"),
        (
            {"choices": [{"question": "Q", "options": ["a", "b"], "answer": 2}]},
            "answer 2: the options are numbered 0 to 1",
        ),
        ({"disk": "2 TB"}, "expected a size such as 2 GB or 500 MB, got '2 TB'"),
        ({"disk": 2}, "expected a size such as 2 GB or 500 MB, got 2"),
    ],
)
def test_bad_parameters_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        fidelity(**changes)
    assert message in str(caught.value)


def test_settings_say_what_is_compared() -> None:
    found = {setting.name: setting.value for setting in fidelity(window={"tokens": 8, "stride": 4}).settings()}
    assert found["variant broken"] == "rtn2"
    assert (found["reference"], found["window"]) == ("the model under audit", "8 tokens, stride 4")
    assert (found["documents"], found["items"], found["prompts"]) == ("40", "10", "10")


def test_texts_are_cut_by_the_reference_alone() -> None:
    engines: list[FakeEngine] = []

    def opening(variant: Variant) -> Engine:
        engines.append(broken() if variant.quantization else reference())
        return engines[-1]

    run(fidelity(), opening=opening)
    assert not any(isinstance(request, Tokenize) for engine in engines for request in engine.requests)


def test_the_kind_is_offered() -> None:
    assert [kind.kind for kind in pytest_llmaudit_audits()] == ["fidelity"]
