"""Kind anatomy, from sentences to estimates, on an engine whose build is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from llmaudit.audit import Measurement, Table
from llmaudit.audits.anatomy import AnatomyAudit, pytest_llmaudit_audits
from llmaudit.engines.anatomy import PARTS, Anatomy, SpecialToken, TextReading
from llmaudit.engines.base import Anatomical, Engine, Variant
from llmaudit.engines.fake import FakeEngine
from llmaudit.errors import CapabilityError, ModelError
from llmaudit.execution import Execution
from llmaudit.exhibits import Bars, Curves, Heatmap
from llmaudit.noise_floor import _Disturbed
from llmaudit.records import to_plain
from llmaudit.stats import Limit, judge
from llmaudit.types import Attend, Attention, Embed, Embedding, Failure, Request, Response, Sample, Tokenize, Tokens
from llmaudit.variants import with_drift

SENTENCES = ["The cat sleeps on the mat.", "Dogs bark at night.", "Nobody saw the train.", "Water is wet."]
MIB = 2**20


class Told(FakeEngine):
    """A fake engine that tells something else of itself."""

    def __init__(
        self,
        handler: Callable[[Request], Response | None] | None = None,
        readings: TextReading | None = None,
        cache: float | None = 128.0,
        **changes: Any,
    ) -> None:
        super().__init__(handler)
        self._told = replace(FakeEngine.anatomy(self), **changes)
        self._cache = cache
        self._reading = readings

    def anatomy(self) -> Anatomy:
        return self._told

    def cache_bytes_per_token(self) -> float | None:
        return self._cache

    def read_texts(self, texts: Sequence[str]) -> Sequence[TextReading]:
        return super().read_texts(texts) if self._reading is None else [self._reading] * len(texts)


class Blind:
    """An engine that cannot look into its model."""

    def __init__(self) -> None:
        self._engine = FakeEngine()
        self.info = self._engine.info
        self.capabilities = self._engine.capabilities
        self.run = self._engine.run
        self.close = self._engine.close


def anatomy(**changes: Any) -> AnatomyAudit:
    params = {"kind": "anatomy", "sentences": SENTENCES, "checks": {"parameters": {"max": 3e9}}}
    return AnatomyAudit(AnatomyAudit.Params.model_validate({**params, **changes}), scorers={}, seed=1)


def ran(
    audit: AnatomyAudit, engine: Engine | None = None, engine_of: Callable[[Variant], Engine] | None = None
) -> tuple[Measurement, Sequence[Sample]]:
    execution = Execution(engine or FakeEngine(), lambda _: FakeEngine(), lambda _, __: None, engine_of=engine_of)
    return audit.run(execution)


def values(found: Measurement) -> dict[str, float]:
    return {name: estimate.value for name, estimate in found.estimates.items()}


def table(found: Measurement, title: str) -> Table:
    return next(each for each in found.tables if each.title == title)


def rows(found: Measurement, title: str) -> Mapping[Any, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in table(found, title).rows}


def test_texts_and_sentences_are_asked_for_before_the_model_is_known() -> None:
    asked = list(anatomy(texts=["One line.\nAnother."]).requests())
    assert asked[0] == Tokenize("One line.\nAnother.", "text 01", {"asked": "round trip"})
    assert asked[1] == Embed(SENTENCES[0], "sentence 01", factors={"asked": "similarity"})
    assert [request.text for request in asked[1:] if isinstance(request, Embed)] == SENTENCES
    bare = list(anatomy().requests())
    assert [request.text for request in bare if isinstance(request, Tokenize)] == SENTENCES


def test_the_layers_named_become_those_of_the_model() -> None:
    engine = Told(layers=30)
    ran(anatomy(layers=["first", "middle", "last", 2]), engine)
    attended = [request for request in engine.requests if isinstance(request, Attend)]
    assert [request.layers for request in attended] == [(0, 1, 15, 29)] * len(SENTENCES)


def test_every_metric_is_known_before_anything_runs_and_all_are_measured() -> None:
    audit = anatomy(dtypes=["float32", "nf4"], layers=["first", 2])
    found, _ = ran(audit)
    assert set(found.estimates) == set(audit.metrics)
    for name, estimate in found.estimates.items():
        metric = audit.metrics[name]
        assert (estimate.metric, estimate.unit, estimate.better) == (name, metric.unit, metric.better)
        assert estimate.deterministic == metric.deterministic


def test_the_sizes_are_those_that_the_engine_tells() -> None:
    found = values(ran(anatomy())[0])
    assert found["parameters"] == sum(found[f"part_parameters.{part}"] for part in PARTS) == 20_688
    names = ("layers", "heads", "kv_heads", "head_size", "hidden_size", "vocabulary_size", "context_length")
    assert [found[name] for name in names] == [2, 2, 1, 8, 16, 1000, 1024]
    assert found["tied_weights"] == 1
    assert (found["kv_cache_bytes"], found["kv_cache_measured"], found["kv_cache_error"]) == (128, 128, 0)


@pytest.mark.parametrize(("bits", "mebibytes"), [(32, 4.0), (16, 2.0), (8, 1.0), (4, 0.5), (2, 0.25), (1, 0.125)])
def test_computed_memory_is_parameters_times_bits(bits: int, mebibytes: float) -> None:
    engine = Told(parts={**dict.fromkeys(PARTS, 0), "mlp": MIB})
    assert values(ran(anatomy(), engine)[0])[f"memory_computed.{bits}"] == mebibytes


def test_a_cache_that_keeps_less_than_the_formula_says_is_an_error_of_its_share() -> None:
    assert values(ran(anatomy(), Told(cache=96.0))[0])["kv_cache_error"] == pytest.approx(0.25)
    found = ran(anatomy(), Told(cache=None))[0].estimates
    assert math.isnan(found["kv_cache_error"].value)
    assert found["kv_cache_measured"].problem == "the model does not tell"


def test_uniform_attention_has_entropy_1_in_every_layer() -> None:
    found = ran(anatomy())[0].estimates
    for name in ("attention_entropy", "attention_entropy.first", "attention_entropy.middle", "attention_entropy.last"):
        assert found[name].value == pytest.approx(1.0)
        assert found[name].clusters == len(SENTENCES)
    first = found["first_token_attention"]
    assert first.value == pytest.approx(first.details["if looked at in equal parts"])
    assert first.interval is not None
    assert first.interval.low < first.value < first.interval.high


def test_the_bare_name_is_the_mean_over_the_layers() -> None:
    def handler(request: Request) -> Response | None:
        if not isinstance(request, Attend):
            return None
        sink = ((1.0, 0.0), (1.0, 0.0))
        even = ((1.0, 0.0), (0.5, 0.5))
        return Attention(("a", "b"), (0, 1), ((sink, sink), (even, sink)))

    found = values(ran(anatomy(layers=["first", "last"]), FakeEngine(handler))[0])
    assert (found["attention_entropy.first"], found["attention_entropy.last"]) == pytest.approx((0, 0.5))
    assert found["attention_entropy"] == pytest.approx(0.25)
    assert (found["first_token_attention.first"], found["first_token_attention.last"]) == pytest.approx((1, 0.75))


def test_anisotropy_is_the_mean_cosine_of_two_sentences() -> None:
    vectors = {SENTENCES[0]: (1.0, 0.0), SENTENCES[1]: (0.0, 1.0), SENTENCES[2]: (1.0, 1.0), SENTENCES[3]: (2.0, 0.0)}

    def handler(request: Request) -> Response | None:
        return Embedding(vectors[request.text], 3) if isinstance(request, Embed) else None

    found = ran(anatomy(), FakeEngine(handler))[0].estimates["anisotropy"]
    half = math.sqrt(0.5)
    assert found.value == pytest.approx((0 + half + 1 + half + 0 + half) / 6)
    assert sum(found.cluster_values.values()) / 4 == pytest.approx(found.value)
    assert found.interval is not None


def test_a_layer_that_the_model_lacks_leaves_its_facet_without_a_value() -> None:
    found = ran(anatomy(layers=["first", 7]))[0].estimates
    assert found["attention_entropy.7"].problem == "the model has no layer 7"
    assert math.isnan(found["attention_entropy.7"].value)
    assert found["attention_entropy.first"].problem is None
    assert found["attention_entropy"].problem == "the model has no layer 7"


@pytest.mark.parametrize("changes", [{"layers": None}, {"layers": 0}])
def test_a_model_that_does_not_tell_its_layers_is_not_asked_for_attention(changes: dict[str, Any]) -> None:
    engine = Told(**changes)
    found = ran(anatomy(), engine)[0]
    assert not any(isinstance(request, Attend) for request in engine.requests)
    assert found.estimates["attention_entropy"].problem == "the model has no layer first, middle, last"


def test_where_every_answer_is_missing_there_is_no_value_and_a_reason() -> None:
    audit = anatomy()
    found, _ = ran(audit, FakeEngine(lambda _: Failure("no")))
    assert set(found.estimates) == set(audit.metrics)
    for name in ("attention_entropy", "first_token_attention.last", "anisotropy", "round_trip_failures"):
        estimate = found.estimates[name]
        assert math.isnan(estimate.value)
        assert estimate.interval is None
        assert estimate.problem
    to_plain(found)


def test_answers_alone_leave_the_facts_open() -> None:
    audit = anatomy(dtypes=["float32"])
    engine = FakeEngine()
    samples = Execution(engine, lambda _: engine, lambda _, __: None).answer(audit.requests())
    found = audit.measure(samples)
    assert set(found.estimates) == set(audit.metrics)
    assert found.estimates["parameters"].problem == "the model does not tell"
    assert found.estimates["anisotropy"].problem is None
    assert found.tables == ()


def test_the_samples_of_the_record_hold_no_maps() -> None:
    samples = ran(anatomy())[1]
    maps = [sample.response for sample in samples if isinstance(sample.response, Attention)]
    assert len(maps) == len(SENTENCES)
    assert all(each.pieces and each.weights == () for each in maps)


def test_two_start_tokens_are_counted_wherever_they_come_from() -> None:
    assert values(ran(anatomy())[0])["double_start"] == 0
    assert values(ran(anatomy(), Told(readings=TextReading(2)))[0])["double_start"] == len(SENTENCES)
    doubled = TextReading(1, 2, 2, chat_lossless=True)
    found = ran(anatomy(), Told(readings=doubled))[0]
    assert values(found)["double_start"] == len(SENTENCES)
    assert judge(found.estimates["double_start"], Limit(max=0)).verdict == "fail"
    assert rows(found, "Start tokens")["by the chat template"] == (4, 0, 4)


def test_a_template_that_loses_something_and_no_template() -> None:
    lossy = ran(anatomy(), Told(readings=TextReading(1, 1, 1, chat_lossless=False)))[0]
    assert values(lossy)["chat_template_lossless"] == 0
    without = ran(anatomy(), Told(readings=TextReading(1)))[0]
    assert without.estimates["chat_template_lossless"].problem == "the tokenizer has no chat template"
    assert rows(without, "Start tokens")["by the chat template"] == (0, 0, 0)


def test_special_tokens_that_are_cut_are_counted_and_shown() -> None:
    tokens = (
        SpecialToken(("bos_token",), "<s>", 1, (1,)),
        SpecialToken((), "<turn>", 9, (60, 61, 62)),
        SpecialToken((), "<reserved>", 8, (8,)),
    )
    found = ran(anatomy(), Told(special_tokens=tokens))[0]
    assert values(found)["special_tokens_split"] == 1
    shown = table(found, "Special tokens")
    assert shown.rows == (("bos_token", "<s>", 1, "one"), ("", "<turn>", 9, "[60, 61, 62]"))
    assert shown.note.startswith("There is no eos_token, no pad_token, no unk_token. 1 further")


def test_a_text_that_does_not_decode_to_itself_is_counted() -> None:
    def handler(request: Request) -> Response | None:
        if isinstance(request, Tokenize) and request.text == SENTENCES[1]:
            return Tokens((1,), ("x",), (), 0, 0, SENTENCES[1].lower())
        return None

    assert values(ran(anatomy(), FakeEngine(handler))[0])["round_trip_failures"] == 1


def test_data_types_are_loaded_one_after_the_other_and_closed() -> None:
    opened: list[Variant] = []
    alive: list[str] = []

    class Loaded(Told):
        def close(self) -> None:
            alive.clear()

    def engine_of(variant: Variant) -> Engine:
        assert not alive
        if variant.dtype == "float16":
            raise ModelError("the device has no float16")
        opened.append(variant)
        alive.append("one")
        return Loaded(allocated_bytes=3 * MIB)

    audit = anatomy(dtypes=["bfloat16", "float16", "nf4"])
    found = ran(audit, engine_of=engine_of)[0]
    assert opened == [Variant(dtype="bfloat16"), Variant(quantization="nf4")]
    assert values(found)["memory_measured.nf4"] == 3
    assert found.estimates["memory_measured.float16"].problem == "the device has no float16"
    remarks = {row[1]: row[3:] for row in table(found, "Memory of the weights").rows}
    assert remarks["float16"] == (None, None, "the device has no float16")
    assert remarks["nf4"][0] == 3


def test_the_data_type_of_the_session_is_not_loaded_again() -> None:
    engine = Told(allocated_bytes=5 * MIB)
    engine.info = replace(engine.info, dtype="float32")
    assert values(ran(anatomy(dtypes=["float32"]), engine)[0])["memory_measured.float32"] == 5


def test_a_session_that_quantizes_measures_no_full_data_type() -> None:
    engine = FakeEngine()
    engine.info = replace(engine.info, quantization="int8")
    found = ran(anatomy(dtypes=["float32"]), engine)[0].estimates["memory_measured.float32"]
    assert found.problem == "the session quantizes to int8: full data types are measured without that"


def test_a_data_type_of_an_engine_that_cannot_look_into_it() -> None:
    found = ran(anatomy(dtypes=["nf4"]), engine_of=lambda _: Blind())[0].estimates["memory_measured.nf4"]
    assert found.problem == "the engine cannot look into it"
    without = ran(anatomy(dtypes=["nf4"]))[0].estimates["memory_measured.nf4"]
    assert without.problem == "this run has no way to load another model"


def test_an_engine_that_cannot_look_into_its_model_skips_the_audit() -> None:
    assert not isinstance(Blind(), Anatomical)
    with pytest.raises(CapabilityError, match="the engine fake cannot look into its model"):
        ran(anatomy(), Blind())


def test_asked_again_for_the_noise_floor_the_engine_still_tells() -> None:
    again = _Disturbed(FakeEngine(), lambda request: request)
    assert values(ran(anatomy(), again)[0]) == pytest.approx(values(ran(anatomy())[0]))


def test_a_variant_changes_facts_and_means() -> None:
    audit = anatomy(variants={"small": {"model": "other"}})
    execution = Execution(
        FakeEngine(), lambda _: FakeEngine(), lambda _, __: None, engine_of=lambda _: Told(allocated_bytes=1, layers=1)
    )
    measured, _ = audit.run(execution)
    found = with_drift(audit, measured, execution)
    assert set(found.estimates) == set(audit.offered)
    assert found.estimates["drift.small.layers"].value == -1
    assert found.estimates["drift.small.attention_entropy"].value == pytest.approx(0)


def test_two_runs_measure_the_same() -> None:
    assert ran(anatomy()) == ran(anatomy())


def test_tables_and_figures() -> None:
    found = ran(anatomy(dtypes=["float32"]), engine_of=lambda _: FakeEngine())[0]
    assert [(each.title, each.first) for each in found.tables] == [
        ("The model", True),
        ("Parameters by part", False),
        ("Memory of the weights", False),
        ("Special tokens", False),
        ("Start tokens", False),
        ("Attention by sentence", False),
    ]
    assert rows(found, "Attention by sentence")["sentence 02"] == (SENTENCES[1], 5, *[pytest.approx(1.0)] * 3)
    assert rows(found, "Parameters by part")["all"] == (20_688, 1.0)
    assert [type(figure) for figure in found.figures] == [Bars, Bars, Curves, Heatmap, Heatmap, Heatmap]
    attention = found.figures[3]
    assert isinstance(attention, Heatmap)
    assert attention.rows == attention.columns == ("1 The", "2 cat", "3 sleeps", "4 on", "5 the", "6 mat", "7 .")
    assert all(sum(value or 0 for value in row) == pytest.approx(1) for row in attention.values)


def test_what_comes_later_has_no_number_in_a_map() -> None:
    attention = ran(anatomy())[0].figures[3]
    assert isinstance(attention, Heatmap)
    assert attention.values[0] == (1.0, *[None] * 6)
    assert None not in attention.values[-1]


def test_one_layer_has_one_map() -> None:
    found = ran(anatomy(layers=["last"]))[0]
    assert [figure.title for figure in found.figures if isinstance(figure, Heatmap)] == [
        "Attention to sentence 01 in layer 2, mean over heads",
        "Similarity of the sentences in the last layer",
    ]


def test_a_limit_on_a_mean_of_few_sentences_is_undecidable_and_one_on_a_fact_is_not() -> None:
    checks = {"parameters": {"max": 1}, "anisotropy": {"max": 0.5}, "attention_entropy": {"role": "exploratory"}}
    assert set(anatomy(checks=checks).problems()) == {"anisotropy"}
    many = [f"Sentence number {number} is short." for number in range(10)]
    assert anatomy(checks=checks, sentences=many).problems() == {}


def test_what_a_reader_needs_to_repeat_it() -> None:
    settings = {setting.name: setting.value for setting in anatomy(dtypes=["nf4"]).settings()}
    assert settings["layers"] == "first, middle, last"
    assert (settings["sentences"], settings["texts"], settings["data types"]) == ("4", "4", "nf4")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": ["midle"]}, "unknown layer 'midle'; did you mean 'middle'"),
        ({"layers": [0]}, "layer 0: layers are counted from 1"),
        ({"layers": ["first", "first"]}, "'first' stands here twice"),
        ({"layers": []}, "at least 1 item"),
        ({"sentences": SENTENCES[:2]}, "at least 3 items"),
        ({"sentences": [*SENTENCES, " "]}, "an empty text"),
        ({"sentences": [*SENTENCES, SENTENCES[0]]}, "stands here twice"),
        ({"sentences": [*SENTENCES, "word " * 60]}, "a sentence of 300 characters, 240 at most"),
        ({"texts": [""]}, "an empty text"),
        ({"dtypes": ["float23"]}, "unknown data type 'float23'; did you mean 'float32'"),
        ({"dtypes": ["nf4"], "variants": {"half": {"dtype": "float16"}}}, "leave it out where there are variants"),
    ],
)
def test_bad_input_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        anatomy(**changes)


def test_the_kind_is_offered() -> None:
    assert pytest_llmaudit_audits() == [AnatomyAudit]
