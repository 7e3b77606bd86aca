"""Kind tokenization, on sentences counted by hand."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from llmaudit.audit import Bars, Intervals, Measurement, Table
from llmaudit.audits.tokenization import Tokenization, pytest_llmaudit_audits
from llmaudit.engines.fake import FakeEngine, answer
from llmaudit.execution import Execution
from llmaudit.stats import Limit, gini, judge
from llmaudit.types import Failure, Request, Response, Sample, Tokenize, Tokens

# FakeEngine makes a token of every word, with its leading space, and of every other sign.
ENGLISH = ["The cat sleeps.", "Dogs bark at night."]
GERMAN = ["Die Katze schläft.", "Nachts bellen die Hunde, sehr laut."]
JAPANESE = ["猫は眠る。", "犬は夜に吠える。"]


def letters(request: Request) -> Response | None:
    """A tokenizer that makes a token of every character."""
    if not isinstance(request, Tokenize):
        return None
    text = request.text
    return Tokens(tuple(map(ord, text)), tuple(text), tuple(range(len(text))), 0, 0, text)


def tokenization(**changes: Any) -> Tokenization:
    params = {
        "kind": "tokenization",
        "parallel": {"eng_Latn": ENGLISH, "deu_Latn": GERMAN, "jpn_Jpan": JAPANESE},
        "words": ["work", "gender"],
        "checks": {"premium": {"max": 2}},
    }
    return Tokenization(Tokenization.Params.model_validate({**params, **changes}), scorers={})


def measured(
    audit: Tokenization,
    handler: Callable[[Request], Response | None] | None = None,
    other: Callable[[Request], Response | None] | None = None,
) -> Measurement:
    run = Execution(FakeEngine(handler), lambda _: FakeEngine(other), lambda _, __: None)
    return audit.run(run)[0]


def values(found: Measurement) -> dict[str, float]:
    return {name: estimate.value for name, estimate in found.estimates.items()}


def tokens(count: int, **changes: Any) -> Tokens:
    known: dict[str, Any] = {"unknown": 0, "byte_fallback": 0, "decoded": ""}
    return Tokens(ids=tuple(range(count)), pieces=("x",) * count, starts=(), **(known | changes))


def table(found: Measurement, title: str) -> Table:
    return next(each for each in found.tables if each.title == title)


def test_requests_are_sentences_by_language_and_words_behind_a_space() -> None:
    asked = list(tokenization().requests())
    assert asked[0] == Tokenize("The cat sleeps.", "sentence 001", {"language": "eng_Latn"})
    assert asked[3] == Tokenize(GERMAN[1], "sentence 002", {"language": "deu_Latn"})
    assert asked[-1] == Tokenize(" gender", "gender", {"language": "words", "list": "words"})
    assert len(asked) == 8


def test_the_formulas_by_hand() -> None:
    # English: "The", " cat", " sleeps", "." and "Dogs", " bark", " at", " night", ".": 9 tokens, 7 words, 15 + 19
    # characters. German: 4 + 8 tokens, 3 + 6 words, 18 + 35 characters, one more byte for the umlaut.
    found = values(measured(tokenization()))
    assert found["tokens.eng_Latn"] == 9
    assert found["tokens.deu_Latn"] == 12
    assert found["tokens"] == 12
    assert found["fertility.eng_Latn"] == pytest.approx(9 / 7)
    assert found["fertility.deu_Latn"] == pytest.approx(12 / 9)
    assert found["tokens_per_character.deu_Latn"] == pytest.approx(12 / 53)
    assert found["tokens_per_byte.deu_Latn"] == pytest.approx(12 / 54)
    assert found["tokens_per_byte.eng_Latn"] == pytest.approx(9 / 34)
    assert found["premium.deu_Latn"] == pytest.approx(12 / 9)
    # 猫は眠る is one token of letters and 。 another.
    assert found["tokens.jpn_Jpan"] == 4
    assert found["premium.jpn_Jpan"] == pytest.approx(4 / 9)
    assert found["premium"] == pytest.approx(12 / 9)
    # The full stop is a second token of the last word of each sentence; "Hunde," and "laut." in German.
    assert found["continued_words.eng_Latn"] == pytest.approx(2 / 7)
    assert found["continued_words.deu_Latn"] == pytest.approx(3 / 9)
    assert found["byte_fallback_share"] == 0
    assert found["unknown_share"] == 0
    assert found["round_trip_failures"] == 0


def test_every_metric_is_known_before_anything_runs_and_all_are_measured() -> None:
    price = {"per_million_tokens": 2.5, "currency": "EUR"}
    terms = {"women": ["Anna", "Eva"], "men": ["Otto", "Max"]}
    audit = tokenization(compare_with=["other", "third"], price=price, terms=terms, examples=1)
    found = measured(audit, other=letters)
    assert set(found.estimates) == set(audit.metrics)
    for name, estimate in found.estimates.items():
        metric = audit.metrics[name]
        assert (estimate.metric, estimate.unit, estimate.better) == (name, metric.unit, metric.better)
        assert estimate.deterministic == metric.deterministic


def test_scripts_without_spaces_have_no_fertility() -> None:
    audit = tokenization()
    assert "fertility.deu_Latn" in audit.metrics
    assert not {"fertility.jpn_Jpan", "continued_words.jpn_Jpan"} & set(audit.metrics)
    assert "tokens_per_character.jpn_Jpan" in audit.metrics
    rows = {row[0]: row for row in table(measured(audit), "Parallel text by language").rows}
    assert rows["jpn_Jpan"][1] is None
    assert rows["jpn_Jpan"][5] is None
    assert rows["deu_Latn"][1] == 9


def test_only_scripts_without_spaces() -> None:
    audit = tokenization(parallel={"jpn_Jpan": JAPANESE}, reference="jpn_Jpan")
    assert "fertility" not in audit.metrics
    assert set(measured(audit).estimates) == set(audit.metrics)


def test_the_table_of_languages_by_hand() -> None:
    found = table(measured(tokenization()), "Parallel text by language")
    assert found.columns[-1] == "byte premium"
    rows: dict[object, object] = {row[0]: row[1:] for row in found.rows}
    assert rows["eng_Latn"] == (7, 34, 34, 9, pytest.approx(9 / 7), pytest.approx(34 / 9), 1.0, 1.0)
    assert rows["deu_Latn"] == (
        *(9, 53, 54, 12, pytest.approx(12 / 9), pytest.approx(53 / 12)),
        *(pytest.approx(12 / 9), pytest.approx(54 / 34)),
    )


def test_figures_are_sorted_and_mark_the_reference() -> None:
    premium, normalised, characters = measured(tokenization()).figures
    assert isinstance(normalised, Intervals)
    assert [row[0] for row in normalised.rows] == ["jpn_Jpan", "deu_Latn"]
    assert normalised.limits == ()
    assert isinstance(premium, Bars)
    assert premium.title == "Tokens over eng_Latn"
    assert [row[0] for row in premium.rows] == ["jpn_Jpan", "deu_Latn"]
    assert premium.reference == 1.0
    assert isinstance(characters, Bars)
    assert characters.reference is None


def test_another_reference() -> None:
    found = values(measured(tokenization(reference="deu_Latn")))
    assert found["premium.eng_Latn"] == pytest.approx(9 / 12)
    assert "premium.deu_Latn" not in found


def test_words_by_hand() -> None:
    def handler(request: Request) -> Response | None:
        assert isinstance(request, Tokenize)
        return tokens(3) if request.text == " gender" else tokens(1)

    found = measured(tokenization(parallel={}, checks={"single_token_rate": {"min": 0.9}}), handler)
    assert values(found)["single_token_rate"] == 0.5
    assert values(found)["tokens_per_word"] == 2
    assert table(found, "The words cut into most tokens").rows[0][:2] == ("gender", 3)
    assert judge(found.estimates["single_token_rate"], Limit(min=0.9)).verdict.value == "fail"


def test_facts_come_from_the_model_and_may_be_unknown() -> None:
    found = measured(tokenization())
    assert values(found)["vocabulary_size"] == 1000
    assert values(found)["special_tokens"] == 2
    assert ("vocabulary_size", 1000) in table(found, "The tokenizer").rows
    alone = tokenization(parallel={}).measure(samples_of_words(3))
    assert math.isnan(alone.estimates["vocabulary_size"].value)
    assert judge(alone.estimates["vocabulary_size"], Limit(min=1)).reason == "nothing could be measured"


def samples_of_words(count: int) -> Sequence[Sample]:
    return [Sample(Tokenize(f" {n}", str(n), {"language": "words", "list": "words"}), tokens(1)) for n in range(count)]


def test_a_second_tokenizer_cuts_the_same_text() -> None:
    audit = tokenization(compare_with="other")
    found = values(measured(audit, other=letters))
    assert found["tokens_ratio.eng_Latn"] == pytest.approx(9 / 34)
    assert found["tokens_ratio.deu_Latn"] == pytest.approx(12 / 53)
    assert found["tokens_ratio"] == pytest.approx(4 / 13)
    same = values(measured(audit))
    assert same["tokens_ratio"] == 1


def test_the_second_tokenizer_is_the_one_that_is_named() -> None:
    asked: list[str] = []

    def open_tokenizer(name: str) -> FakeEngine:
        asked.append(name)
        return FakeEngine()

    tokenization(compare_with="org/other").run(Execution(FakeEngine(), open_tokenizer, lambda _, __: None))
    assert asked == ["org/other"]


def test_fragments_unknown_tokens_and_failures_of_the_round_trip() -> None:
    def handler(request: Request) -> Response | None:
        assert isinstance(request, Tokenize)
        if request.factors["language"] == "deu_Latn":
            return tokens(4, unknown=1, byte_fallback=2, decoded="something else")
        return None

    found = measured(tokenization(), handler)
    assert values(found)["unknown_share.deu_Latn"] == pytest.approx(2 / 8)
    assert values(found)["unknown_share"] == pytest.approx(2 / 8)
    assert values(found)["byte_fallback_share"] == pytest.approx(4 / 8)
    assert values(found)["round_trip_failures"] == 2
    assert "25% of the tokens are unknown" in (found.estimates["premium.deu_Latn"].problem or "")


def test_a_reference_of_unknown_tokens_leaves_no_premium() -> None:
    found = measured(
        tokenization(), lambda request: tokens(4, unknown=4) if request.factors["language"] == "eng_Latn" else None
    )
    for name in ("premium", "premium.deu_Latn", "premium.jpn_Jpan"):
        assert "100% of the tokens are unknown" in (found.estimates[name].problem or "")
    assert found.estimates["fertility.deu_Latn"].problem is None


def test_a_second_tokenizer_that_knows_nothing_is_no_comparison() -> None:
    found = measured(tokenization(compare_with="other"), other=lambda _: tokens(2, unknown=2))
    assert "100% of the tokens are unknown" in (found.estimates["tokens_ratio"].problem or "")
    assert found.estimates["premium"].problem is None


@pytest.mark.parametrize(
    "lost", [["deu_Latn"], ["jpn_Jpan"], ["eng_Latn"], ["eng_Latn", "deu_Latn", "jpn_Jpan", "words"]]
)
def test_texts_that_could_not_be_tokenized_never_pass(lost: list[str]) -> None:
    # A failed request is a response with an error; nothing is dropped silently.
    audit = tokenization()
    found = measured(audit, lambda request: Failure("gone") if request.factors["language"] in lost else None)
    for name in ("premium", "round_trip_failures", "unknown_share", "tokens"):
        assert judge(found.estimates[name], Limit(max=100)).verdict.value != "pass", name
    assert found.estimates[f"tokens.{lost[0]}"].missing == 2


def test_the_worst_language_is_found_in_any_order() -> None:
    audit = tokenization(parallel={"deu_Latn": GERMAN, "eng_Latn": ENGLISH})
    assert values(measured(audit))["tokens"] == 12


def test_one_language_has_no_premium() -> None:
    price = {"per_million_tokens": 2.5, "currency": "EUR"}
    audit = tokenization(parallel={"eng_Latn": ENGLISH}, price=price)
    assert not {"premium", "byte_premium", "normalised_premium", "cost_premium", "gini"} & set(audit.metrics)
    assert {"cost.eng_Latn", "renyi_efficiency.eng_Latn"} <= set(audit.metrics)
    assert set(measured(audit).estimates) == set(audit.metrics)


def test_too_few_sentences_decide_no_ratio_but_every_count() -> None:
    audit = tokenization()
    assert "premium" in audit.problems()
    assert audit.problems()["premium"].startswith("design: 2 clusters, a t interval needs 10")
    assert "tokens" not in audit.problems()
    many = [f"Sentence {number}." for number in range(10)]
    assert tokenization(parallel={"eng_Latn": many, "deu_Latn": many}).problems() == {}
    assert tokenization(parallel={}).problems() == {}


def test_a_language_may_be_called_words() -> None:
    audit = tokenization(parallel={"eng_Latn": ENGLISH, "words": GERMAN})
    found = values(measured(audit))
    assert found["tokens.words"] == 12
    assert found["tokens_per_word"] == 1


def test_premiums_in_bytes_and_per_byte_by_hand() -> None:
    # 54 bytes of German over 34 of English, 12 tokens over 9.
    found = values(measured(tokenization()))
    assert found["byte_premium.deu_Latn"] == pytest.approx(54 / 34)
    assert found["normalised_premium.deu_Latn"] == pytest.approx((12 / 9) / (54 / 34))
    assert found["normalised_premium.deu_Latn"] == pytest.approx(
        found["tokens_per_byte.deu_Latn"] / found["tokens_per_byte.eng_Latn"]
    )
    assert found["gini"] == pytest.approx(float(gini([9, 12, 4])))


def test_a_vocabulary_of_which_every_token_is_used_equally_often_is_used_wholly() -> None:
    # Sixteen tokens, all of them once in each language.
    def handler(request: Request) -> Response | None:
        assert isinstance(request, Tokenize)
        return replace(tokens(8), ids=tuple(range(8) if request.cluster == "sentence 001" else range(8, 16)))

    audit = tokenization(parallel={"eng_Latn": ENGLISH, "deu_Latn": GERMAN})
    engine = FakeEngine(handler)
    engine.info = replace(engine.info, facts={"vocabulary_size": 16})
    found, _ = audit.run(Execution(engine, lambda _: engine, lambda _, __: None))
    assert values(found)["renyi_efficiency"] == pytest.approx(1)
    assert values(found)["renyi_efficiency.deu_Latn"] == pytest.approx(1)
    assert values(found)["vocabulary_coverage"] == 1


def test_without_facts_of_the_model_its_vocabulary_is_unknown() -> None:
    audit = tokenization(parallel={"eng_Latn": ENGLISH})
    found = audit.measure([Sample(request, tokens(2)) for request in audit.requests()])
    assert found.estimates["renyi_efficiency"].problem is not None
    assert math.isnan(found.estimates["vocabulary_coverage"].value)


def test_what_a_text_costs_in_money() -> None:
    audit = tokenization(price={"per_million_tokens": 2.5, "currency": "EUR"})
    found = measured(audit)
    assert values(found)["cost_premium.deu_Latn"] == pytest.approx(2.5 * 12 / 9)
    assert values(found)["cost.eng_Latn"] == pytest.approx(2.5 * 9 / 34)  # of a million characters
    assert found.estimates["cost"].unit == "EUR"
    figure = found.figures[-1]
    assert isinstance(figure, Bars)
    assert (figure.axis, figure.reference) == ("EUR", 2.5)
    assert not any(name.startswith("cost") for name in tokenization().metrics)


def test_sentences_of_one_document_are_one_cluster() -> None:
    many = [f"Sentence {number} says it." for number in range(24)]
    parallel = {"eng_Latn": many, "deu_Latn": many}
    audit = tokenization(parallel=parallel, clusters=[f"page {number // 2}" for number in range(24)])
    assert audit.problems() == {}
    premium = measured(audit).estimates["premium.deu_Latn"]
    assert (premium.n, premium.clusters) == (24, 12)
    assert list(premium.cluster_values) == [f"page {number}" for number in range(12)]
    few = tokenization(parallel=parallel, clusters=[f"page {number // 8}" for number in range(24)])
    assert few.problems()["premium"].startswith("design: 3 clusters")


def test_a_smoke_run_measures_the_first_sentences() -> None:
    many = [f"Sentence {number}." for number in range(5)]
    audit = tokenization(
        parallel={"eng_Latn": many, "deu_Latn": many}, clusters=list("aabbb"), compare_with=["x"], examples=1
    )
    run = Execution(FakeEngine(), lambda _: FakeEngine(), lambda _, __: None, smoke=True)
    found, samples = audit.run(run)
    assert len(samples) == 6
    assert set(found.estimates) == set(audit.metrics)


def test_several_tokenizers_side_by_side() -> None:
    audit = tokenization(compare_with=["org/first", "./models/second.v2"])
    names = {name.partition(".")[0] for name in audit.metrics if name.startswith("tokens_ratio")}
    assert names == {"tokens_ratio", "tokens_ratio_models-second-v2"}
    answering = {"org/first": FakeEngine(), "./models/second.v2": FakeEngine(letters)}
    found, _ = audit.run(Execution(FakeEngine(), answering.__getitem__, lambda _, __: None))
    assert set(found.estimates) == set(audit.metrics)
    assert values(found)["tokens_ratio.eng_Latn"] == 1
    assert values(found)["tokens_ratio_models-second-v2.eng_Latn"] == pytest.approx(9 / 34)
    side_by_side = table(found, "Several tokenizers, the same text")
    assert side_by_side.columns[1:3] == ("tokens, fake", "premium, fake")
    assert side_by_side.columns[-2:] == ("tokens, ./models/second.v2", "premium, ./models/second.v2")
    rows: dict[object, object] = {row[0]: row[1:] for row in side_by_side.rows}
    assert rows["deu_Latn"] == (12, pytest.approx(12 / 9), 12, pytest.approx(12 / 9), 53, pytest.approx(53 / 34))
    # Words and terms are asked of the model alone.
    assert len(answering["org/first"].requests) == 6


def test_examples_show_where_a_text_is_cut() -> None:
    audit = tokenization(examples=1)
    rows = table(measured(audit), "Token by token").rows
    assert rows[0] == ("eng_Latn", 1, 4, "The│␣cat│␣sleeps│.")
    assert [row[0] for row in rows] == ["eng_Latn", "deu_Latn", "jpn_Jpan"]
    assert all(each.title != "Token by token" for each in measured(tokenization()).tables)


def test_terms_of_groups_are_compared_in_their_frame() -> None:
    terms = {"women": ["Anna", "Eva"], "men": ["Otto-Karl", "Max"]}
    audit = tokenization(parallel={}, words=[], terms=terms, frame="Ask {term}.")
    assert [request.text for request in audit.requests() if isinstance(request, Tokenize)] == [
        *("Ask Anna.", "Ask Eva.", "Ask Otto-Karl.", "Ask Max.")
    ]
    found = measured(audit)
    assert set(found.estimates) == set(audit.metrics)
    # "Ask", " Anna", "." and of Otto-Karl " Otto", "-", "Karl".
    assert values(found)["term_cost.women"] == 3
    assert values(found)["exact_term_cost_gap.women-men"] == -1
    assert table(found, "Terms of the groups").rows[2] == ("men", "Otto-Karl", 5, "Ask│ Otto│-│Karl│.")
    assert set(audit.problems()) == {"term_cost_gap", "term_cost_gap.women-men"}
    plain = tokenization(parallel={}, words=[], terms=terms)
    assert next(iter(plain.requests())) == Tokenize(
        " Anna", "Anna", {"language": "terms", "list": "terms", "group": "women"}
    )
    enough = {group: [f"{group}{number}" for number in range(10)] for group in ("a", "b", "c")}
    assert tokenization(parallel={}, words=[], terms=enough).problems() == {}
    short = tokenization(parallel={}, words=[], terms={**enough, "c": ["x"]}).problems()
    assert set(short) == {"term_cost_gap", "term_cost_gap.a-c", "term_cost_gap.b-c"}


def test_a_tokenizer_that_cannot_decode_has_no_round_trip_and_everything_else() -> None:
    def handler(request: Request) -> Response | None:
        found = answer(request)
        assert isinstance(found, Tokens)
        return replace(found, decoded=None)

    found = measured(tokenization(), handler)
    assert found.estimates["round_trip_failures.deu_Latn"].problem == (
        "the tokenizer cannot decode: there is no round trip"
    )
    for name in ("round_trip_failures", "nfc_round_trip_failures"):
        assert judge(found.estimates[name], Limit(max=0)).verdict.value == "inconclusive"
    assert values(found)["premium.deu_Latn"] == pytest.approx(12 / 9)
    assert found.evidence == {}


def test_a_round_trip_that_only_changes_the_form_of_an_accent() -> None:
    def handler(request: Request) -> Response | None:
        found = answer(request)
        assert isinstance(found, Tokens)
        return replace(found, decoded=unicodedata.normalize("NFD", found.decoded or ""))

    audit = tokenization(parallel={"eng_Latn": ENGLISH, "deu_Latn": GERMAN})
    found = measured(audit, handler)
    assert values(found)["round_trip_failures.deu_Latn"] == 1
    assert values(found)["nfc_round_trip_failures"] == 0
    assert found.evidence == {"round_trip_failures": (2,)}


def flores(folder: Path, **changes: Any) -> Tokenization:
    """An audit of three sentences of two pages, in the layout of FLORES-200."""
    (folder / "flores/devtest").mkdir(parents=True, exist_ok=True)
    for language, sentences in {"eng_Latn": ENGLISH, "deu_Latn": GERMAN}.items():
        (folder / f"flores/devtest/{language}.devtest").write_text("\n".join([*sentences, sentences[0]]) + "\n")
    (folder / "flores/metadata_devtest.tsv").write_text("URL\na\na\nb\n")
    data = {"reader": "flores", "path": "flores", "languages": ["eng_Latn", "deu_Latn"], **changes.pop("data", {})}
    params = {"kind": "tokenization", "data": data, "checks": {"premium": {"max": 2}}, **changes}
    return Tokenization(Tokenization.Params.model_validate(params, context={"folder": folder}), scorers={})


def test_text_from_files_is_measured_by_its_documents(tmp_path: Path) -> None:
    audit = flores(tmp_path)
    found = measured(audit)
    assert set(found.estimates) == set(audit.metrics)
    premium = found.estimates["premium.deu_Latn"]
    assert premium.value == pytest.approx(16 / 13)
    assert (premium.n, premium.clusters) == (3, 2)
    assert list(premium.cluster_values) == ["a", "b"]
    assert audit.problems()["premium"].startswith("design: 2 clusters")


def test_the_hashes_of_the_files_are_part_of_the_parameters(tmp_path: Path) -> None:
    audit = flores(tmp_path)
    digest = hashlib.sha256((tmp_path / "flores/devtest/deu_Latn.devtest").read_bytes()).hexdigest()
    dumped = audit.params.model_dump(mode="json")["data"]
    assert dumped["path"] == "flores"
    assert dumped["sha256"]["deu_Latn.devtest"] == digest
    settings = {setting.name: setting.value for setting in audit.settings()}
    assert settings["data"] == "flores, flores"
    assert settings["sha256 of deu_Latn.devtest"] == digest
    assert settings["documents"] == "2"


def test_the_first_sentences_of_a_file(tmp_path: Path) -> None:
    assert len(list(flores(tmp_path, data={"limit": 2}).requests())) == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"languages": ["eng_Latn", "deu_Latin"]}, "no sentences in 'deu_Latin' .*; did you mean 'deu_Latn'"),
        ({"languages": ["eng_Latn", "eng_Latn"]}, "'eng_Latn' stands here twice"),
        ({"languages": ["deu_Latn"]}, r"reference: no sentences in 'eng_Latn' \(there are deu_Latn\)"),
        ({"path": "flroes"}, "there is no folder .*; did you mean 'flores'"),
        ({"reader": "udhr", "split": "dev"}, "split: the Declaration has no parts"),
        ({"reader": "udhr"}, r"no text in 'eng_Latn' under .* \(there are none\)"),
        ({"reader": "wikipedia"}, "'flores' or 'udhr'"),
        ({"limit": 0}, "greater than or equal to 1"),
    ],
)
def test_files_that_cannot_be_audited(tmp_path: Path, data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        flores(tmp_path, data=data)


def test_a_text_is_written_here_or_read(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="parallel and data: one of the two"):
        flores(tmp_path, parallel={"eng_Latn": ENGLISH})
    with pytest.raises(ValidationError, match="data brings its own documents"):
        flores(tmp_path, clusters=["a", "b", "c"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parallel": {}, "words": []}, r"needs sentences \(parallel or data\), words or terms"),
        ({"parallel": {"deu_Latn": GERMAN}}, r"no sentences in 'eng_Latn' \(there are deu_Latn\)"),
        ({"parallel": {"eng_Latn": ENGLISH, "deu_Latn": GERMAN[:1]}}, "deu_Latn has 1 sentences, eng_Latn has 2"),
        ({"parallel": {"eng_Latn": ["a", " "]}}, "eng_Latn has an empty sentence"),
        ({"parallel": {"eng_Latn": [], "deu_Latn": []}}, "parallel: there are no sentences"),
        ({"words": ["a", "b", "a"]}, "'a' stands here twice"),
        ({"parallel": {"a b": ["x"]}, "reference": "a b"}, "pattern"),
        ({"languages": []}, "Extra inputs"),
        ({"clusters": ["a"]}, "clusters: 1 documents for 2 sentences"),
        ({"price": {"per_million_tokens": 0, "currency": "EUR"}}, "greater than 0"),
        ({"price": {"per_million_tokens": -1.5, "currency": "EUR"}}, "greater than 0"),
        ({"price": {"per_million_tokens": 1, "currency": "euro"}}, "pattern"),
        ({"price": {"per_million_tokens": 1}}, "Field required"),
        ({"parallel": {}, "price": {"per_million_tokens": 1, "currency": "EUR"}}, "price: needs sentences"),
        ({"parallel": {}, "examples": 1}, "examples: needs sentences"),
        ({"parallel": {}, "compare_with": "gpt2"}, "compare_with: needs sentences"),
        ({"compare_with": ["gpt2", "gpt2"]}, "'gpt2' stands here twice"),
        ({"compare_with": ["x", "a/b", "a:b"]}, "'a/b' and 'a:b' would both be called 'tokens_ratio_a-b'"),
        ({"terms": {"women": ["Anna"]}}, "two groups at least"),
        ({"terms": {"women": ["Anna"], "men": []}}, "the group men has no terms"),
        ({"terms": {"women": ["Kim"], "men": ["Otto", "Kim "]}}, r"'Kim' stands here twice \(women, men\)"),
        ({"terms": {"a": ["p"], "b-c": ["q"], "a-b": ["r"], "c": ["s"]}}, "both be called 'a-b-c'"),
        ({"terms": {"women": ["Anna"], "men": ["Otto"]}, "frame": "nobody"}, "must hold {term} once"),
        ({"terms": {"women": ["Anna"], "men": ["Otto"]}, "frame": "{term} {x}"}, "no other brace"),
    ],
)
def test_what_cannot_be_audited(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        tokenization(**changes)


def test_settings_name_languages_and_counts() -> None:
    audit = tokenization(compare_with="gpt2", price={"per_million_tokens": 2.5, "currency": "EUR"})
    settings = {setting.name: setting.value for setting in audit.settings()}
    assert settings["languages"] == "eng_Latn, deu_Latn, jpn_Jpan"
    assert settings["sentences per language"] == "2"
    assert settings["words"] == "2"
    assert settings["compare_with"] == "gpt2"
    assert settings["price"] == "2.5 EUR per million tokens"


def test_the_kind_offers_itself() -> None:
    assert pytest_llmaudit_audits() == [Tokenization]
