"""Kind steering, from prompts to estimates, on an engine whose answers are known."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from llmaudit.audit import Bars, Curves, Measurement, Table
from llmaudit.audits.steering import Steering, pytest_llmaudit_audits
from llmaudit.engines.fake import FakeEngine
from llmaudit.errors import AuditError, CapabilityError, SuiteError
from llmaudit.execution import Execution
from llmaudit.scorers.answers import Empty, Length, Refusal
from llmaudit.scorers.base import Scorer
from llmaudit.scorers.sentiment import Sentiment
from llmaudit.stats import Limit, judge, sign_flip
from llmaudit.steering import estimates as steering_estimates
from llmaudit.steering.design import SIDES
from llmaudit.suite import load_suite
from llmaudit.types import (
    Direction,
    Failure,
    Generate,
    Likelihood,
    Request,
    Response,
    Sample,
    Score,
    Tokenize,
    Tokens,
)

SCORERS: Mapping[str, Scorer] = {scorer.name: scorer for scorer in (Sentiment(), Refusal(), Empty(), Length())}
PLACES = ("office", "school", "market", "library", "harbour", "museum", "bakery", "theatre", "garden", "station")
PROMPTS = [f"People say that the {place} is {time}" for place in PLACES for time in ("now", "often")]
WORDS = {
    "positive": ["superb", "delightful", "lovely"],
    "negative": ["dreadful", "nasty", "horrible"],
    "placebo": ["wooden", "eastern", "weekly"],
}
#: Words that move the score and are on no list.
GOOD, BAD, PLAIN = "a wonderful and excellent place.", "a terrible and awful place.", "a place in the town."
INSTRUCTIONS = {"positive": "Be kind.", "negative": "Be harsh.", "placebo": "Go on."}
CONTRAST = {
    "toward": ["good soup", "nice tea", "warm day", "glad dog"],
    "away": ["bad soup", "foul tea", "cold day", "sad dog"],
    "layer": 3,
}
CHECKS = {
    "trend": {"min": 0},
    "slope": {"min": 0.02},
    "placebo_slope": {"max": 0.02},
    "cost": {"max": 0.3},
}

Answer = Callable[[Generate], Response | str]


@pytest.fixture(autouse=True)
def fewer_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    # The p-values of sign-flip tests stand beside the verdict; 9,999 permutations for each of 60 metrics take a second.
    monkeypatch.setattr(steering_estimates, "sign_flip", partial(sign_flip, resamples=99))


def steering(**changes: Any) -> Steering:
    params = {
        "kind": "steering",
        "prompts": PROMPTS,
        "words": WORDS,
        "strengths": [0, 1, 2, 4],
        "samples": 2,
        "checks": CHECKS,
    }
    parsed = Steering.Params.model_validate({**params, **changes}, context={"scorers": SCORERS})
    return Steering(parsed, scorers=SCORERS, seed=1)


def engine(answer: Answer, cost: Callable[[Score], float] = lambda _: 2.0) -> FakeEngine:
    def handler(request: Request) -> Response | str | None:
        if isinstance(request, Score):
            tokens = len(request.continuation.split())
            return Likelihood(-cost(request) * tokens, tokens, greedy=False)
        return answer(request) if isinstance(request, Generate) else None

    return FakeEngine(handler)


def execution(model: FakeEngine, *, smoke: bool = False) -> Execution:
    return Execution(model, lambda _: model, lambda _, __: None, smoke=smoke)


def ran(audit: Steering, answer: Answer, **kwargs: Any) -> tuple[Measurement, Sequence[Sample]]:
    return audit.run(execution(engine(answer, **kwargs)))


def verdict(audit: Steering, found: Measurement, metric: str) -> str:
    check = audit.params.checks[metric]
    return judge(found.estimates[metric], Limit(max=check.max, min=check.min)).verdict.value


def table(found: Measurement, title: str) -> Table:
    return next(each for each in found.tables if each.title == title)


def effective(found: Measurement) -> dict[str, str]:
    return {str(row[0]): str(row[-1]) for row in table(found, "Is steering effective?").rows}


def dice(request: Generate) -> float:
    """A number in [0, 1) that depends on the random stream alone, as with common random numbers."""
    digest = hashlib.blake2b(f"{request.stream}|{request.sample}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


def side_of(request: Generate) -> str:
    return str(request.factors["side"])


def strength_of(request: Generate) -> float:
    return float(request.factors["strength"])


def toned(request: Generate, push: float) -> str:
    """Say something good or bad, the more surely the stronger the push."""
    draw = dice(request)
    if draw < abs(push) / 5:
        return f" {GOOD if push > 0 else BAD}"
    return f" {PLAIN}"


def steerable(request: Generate) -> str:
    return toned(request, {"positive": 1, "negative": -1}.get(side_of(request), 0) * strength_of(request))


def deaf(request: Generate) -> str:
    return (f" {GOOD}", f" {BAD}", f" {PLAIN}")[int(3 * dice(request))]


def inserting(request: Generate) -> str:
    """Only write the listed words, without saying anything."""
    words = WORDS.get(side_of(request), [])
    return " a place in the town, " + " ".join(words[: int(strength_of(request))]) + "."


def contrary(request: Generate) -> str:
    return toned(request, {"positive": -1, "negative": 1}.get(side_of(request), 0) * strength_of(request))


def test_a_steerable_model_is_found_effective() -> None:
    audit = steering()
    found, _ = ran(audit, steerable)
    assert {metric: verdict(audit, found, metric) for metric in CHECKS} == dict.fromkeys(CHECKS, "pass")
    assert set(effective(found).values()) == {"yes"}
    assert found.estimates["trend"].value > 0.5
    trend = found.estimates["trend.positive"]
    assert trend.p_value is not None
    assert trend.p_value < 1e-6
    assert trend.details["one-sided p of Page's test"] == trend.p_value
    assert found.estimates["masked_share.positive"].value == 0
    wrong = found.estimates["wrong_way_share.positive"]
    assert wrong.value == 0
    assert wrong.interval is not None
    # No prompt of 20 went the wrong way: the exact bound on how many do.
    assert (wrong.interval.low, wrong.interval.high) == pytest.approx((0, 1 - 0.05 ** (1 / 20)))
    assert wrong.p_value is None
    assert found.estimates["effect_over_placebo"].value == pytest.approx(found.estimates["effect"].value)


def test_a_deaf_model_is_not() -> None:
    audit = steering()
    found, _ = ran(audit, deaf)
    assert found.estimates["trend"].value == 0
    assert verdict(audit, found, "trend") == "inconclusive"
    assert verdict(audit, found, "slope") == "fail"
    assert verdict(audit, found, "placebo_slope") == "pass"
    assert effective(found)["Effective: all of these"] == "no"
    assert found.estimates["trend"].p_value == 1


def test_a_share_that_is_0_in_every_prompt_is_no_certainty() -> None:
    found, _ = ran(steering(), deaf)
    for name in ("leakage", "leakage.positive-4", "repetition_change", "refusal_change"):
        estimate = found.estimates[name]
        assert estimate.value == 0
        assert estimate.interval is not None
        assert estimate.interval.high >= 1 - 0.05 ** (1 / 20), name
        assert judge(estimate, Limit(max=0.01)).verdict.value == "inconclusive", name


def test_a_deaf_model_goes_no_way_and_not_the_wrong_one() -> None:
    found = ran(steering(), deaf)[0].estimates
    assert found["wrong_way_share"].value == 0
    assert [found[f"{name}.{side}"].value for name in ("slope", "raw_slope") for side in SIDES] == [0, 0, 0, 0]


def test_a_deaf_model_never_passes_a_trend_of_any_size() -> None:
    # Every prompt has a tau of exactly 0: without a width its interval would pass "at least 0".
    interval = ran(steering(), deaf)[0].estimates["trend"].interval
    assert interval is not None
    assert interval.low < 0 < interval.high < 0.2


def test_a_model_that_only_inserts_the_words_is_caught_by_masking_and_leakage() -> None:
    audit = steering()
    found, _ = ran(audit, inserting)
    assert found.estimates["raw_effect"].value > 0.5
    assert found.estimates["raw_slope"].value > 0.05
    assert found.estimates["effect"].value == 0
    assert found.estimates["slope"].value == 0
    assert found.estimates["masked_share"].value == pytest.approx(1)
    assert found.estimates["leakage.positive-2"].value == pytest.approx(2 / 7)
    assert found.estimates["leakage.positive-1"].value == pytest.approx(1 / 6)
    assert verdict(audit, found, "slope") == "fail"
    assert effective(found)["Effective: all of these"] == "no"


def test_a_model_that_answers_with_the_wrong_sign_is_reported_as_such() -> None:
    audit = steering()
    found, _ = ran(audit, contrary)
    assert found.estimates["trend"].value < -0.3
    assert found.estimates["slope"].value < 0
    assert found.estimates["effect.positive-4"].value < 0
    assert found.estimates["effect.negative-4"].value < 0
    assert found.estimates["wrong_way_share"].value > 0.8
    assert verdict(audit, found, "trend") == verdict(audit, found, "slope") == "fail"
    assert effective(found)["Effective: all of these"] == "no"
    assert found.estimates["trend"].p_value == pytest.approx(1, abs=1e-3)


def test_words_that_the_scorer_does_not_know_leave_masked_and_raw_alike() -> None:
    # A placebo's words are masked too: the score of the answer must not move for it.
    found, _ = ran(steering(mask=True), inserting)
    shown, _ = ran(steering(mask=False), inserting)
    assert found.estimates["placebo_slope"].value == shown.estimates["placebo_slope"].value == 0
    assert shown.estimates["effect"].value == shown.estimates["raw_effect"].value


def test_a_cost_beyond_its_margin_is_not_effective_and_closes_the_window() -> None:
    audit = steering()
    found, _ = ran(audit, steerable, cost=lambda request: 2.0 + ("wonderful" in request.continuation))
    assert found.estimates["cost.negative-2"].value == 0
    assert found.estimates["cost"].value > 0.3
    assert effective(found)["Is the cost within its margin?"] != "yes"
    window = {(row[0], row[1]): row[-1] for row in table(found, "The usable window").rows}
    assert window["negative", 4.0] == "yes"
    assert window["positive", 4.0] == "no"


def test_effects_are_in_the_intended_direction_and_asymmetry_is_not() -> None:
    found, _ = ran(steering(), lambda r: f" {GOOD}" if side_of(r) == "positive" else f" {PLAIN}")
    assert found.estimates["effect.positive-2"].value > 0.5
    assert found.estimates["effect.negative-2"].value == 0
    assert found.estimates["asymmetry"].value == pytest.approx(found.estimates["effect.positive-2"].value)
    found, _ = ran(steering(), steerable)
    assert found.estimates["effect.negative-4"].value > 0.3
    assert abs(found.estimates["asymmetry"].value) < 0.1


def test_metrics_are_known_before_anything_runs_and_all_are_measured() -> None:
    for audit in (steering(), steering(instructions=INSTRUCTIONS)):
        found, _ = ran(audit, steerable)
        assert set(found.estimates) == set(audit.metrics)
        for name, estimate in found.estimates.items():
            metric = audit.metrics[name]
            assert (estimate.metric, estimate.unit, estimate.better) == (name, metric.unit, metric.better)
            assert estimate.deterministic == metric.deterministic


@pytest.mark.parametrize("lost", ["all", "all but neutral"])
def test_missing_answers_are_inconclusive_and_no_crash(lost: str) -> None:
    def answer(request: Generate) -> Response | str:
        kept = lost != "all" and side_of(request) == "neutral"
        return f" {PLAIN}" if kept else Failure("out of memory")

    audit = steering(instructions=INSTRUCTIONS)
    found, samples = ran(audit, answer)
    assert set(found.estimates) == set(audit.metrics)
    for name in ("trend", "slope", "effect", "effect.positive-2", "cost", "masked_share", "instruction_effect"):
        assert math.isnan(found.estimates[name].value), name
        assert found.estimates[name].interval is None
        assert "could not be used" in str(found.estimates[name].problem)
    assert effective(found)["Effective: all of these"] == "undecided"
    assert found.scores["sentiment"].count(None) >= len(samples) / 2


def test_a_condition_that_answers_less_is_inconclusive_where_it_counts() -> None:
    def answer(request: Generate) -> Response | str:
        return "" if request.factors["condition"] == "positive-4" else steerable(request)

    audit = steering()
    found, _ = ran(audit, answer)
    words = "100% of the answers for positive-4 could not be used (at most 20%)"
    assert found.estimates["trend.positive"].problem == found.estimates["trend"].problem == words
    assert found.estimates["effect.positive-4"].problem == words
    assert found.estimates["effect"].problem is None  # judged at 2
    assert found.estimates["length_change.positive-4"].problem is None
    assert found.estimates["length_change.positive-4"].value < -3


def test_refusals_count_as_missing_for_the_score_and_are_a_number_of_their_own() -> None:
    def answer(request: Generate) -> str:
        return "I cannot help with that terrible request." if side_of(request) == "negative" else steerable(request)

    found, _ = ran(steering(), answer)
    assert found.estimates["refusal_change"].value == 1
    assert "for negative-2 could not be used" in str(found.estimates["effect.negative-2"].problem)


def test_every_condition_of_a_prompt_shares_its_random_numbers_and_neutral_is_asked_once() -> None:
    audit = steering(strengths=[2, 1], instructions=INSTRUCTIONS, sampling={"temperature": 0.7, "max_new_tokens": 9})
    _, samples = ran(audit, deaf)
    asked = [sample.request for sample in samples if isinstance(sample.request, Generate)]
    assert len(asked) == len(samples) == len(PROMPTS) * (1 + 3 * 2 + 3) * 2
    for request in asked:
        assert request.stream == request.cluster
        assert (request.sampling.temperature, request.sampling.max_new_tokens) == (0.7, 9)
    conditions = dict.fromkeys(str(request.factors["condition"]) for request in asked)
    assert list(conditions) == [
        "neutral",
        *(f"{side}-{level}" for side in WORDS for level in (1, 2)),
        *(f"instruction-{side}" for side in WORDS),
    ]
    neutral = [request for request in asked if request.factors["condition"] == "neutral"]
    assert all(not request.sampling.word_bias and request.prompt == request.cluster for request in neutral)


def test_all_generation_is_one_call() -> None:
    model = engine(steerable)
    calls: list[set[str]] = []
    run = model.run

    def counting(requests: Sequence[Request]) -> Any:
        calls.append({type(request).__name__ for request in requests})
        return run(requests)

    model.run = counting  # type: ignore[method-assign]
    steering().run(execution(model))
    assert calls == [{"Tokenize"}, {"Generate"}, {"Score"}, {"Tokenize"}]


def tokens_of(request: Tokenize) -> Tokens:
    """Cut every word after its fourth letter: a vocabulary of short pieces."""
    text = request.text
    pieces = (text[:5], text[5:]) if len(text) > 5 else (text,)
    ids = tuple(int.from_bytes(hashlib.blake2b(piece.encode(), digest_size=4).digest()) for piece in pieces)
    return Tokens(ids, pieces, (), 0, 0, text)


def cutting(request: Request) -> Response | str | None:
    if isinstance(request, Tokenize):
        return tokens_of(request)
    return " a lovely, supersonic and lower place" if isinstance(request, Generate) else None


@pytest.mark.parametrize("method", ["first_tokens", "tokens", "words"])
def test_what_the_methods_that_go_by_words_ask(method: str) -> None:
    model = FakeEngine(cutting)
    audit = steering(method=method, spellings="after_space")
    _, samples = audit.run(execution(model))
    request = next(s.request for s in samples if s.request.factors["condition"] == "positive-2")
    assert isinstance(request, Generate)
    forms = [f" {form}" for word in WORDS["positive"] for form in (word, word.capitalize())]
    spelt = [tokens_of(Tokenize(form, "w")).ids for form in forms]
    assert request.prompt == request.cluster
    if method == "words":
        assert set(request.sampling.word_bias) == {(ids, 2.0) for ids in spelt}
        assert not request.sampling.logit_bias
    else:
        chosen = {ids[0] for ids in spelt} if method == "first_tokens" else {token for ids in spelt for token in ids}
        assert request.sampling.logit_bias == tuple((token, 2.0) for token in sorted(chosen))
        assert not request.sampling.word_bias


def test_the_report_lists_which_other_words_a_boosted_token_begins() -> None:
    found, _ = steering(spellings="after_space").run(execution(FakeEngine(cutting)))
    fragments = table(found, "What else the boosted tokens begin")
    assert fragments.rows == (("positive", " supe", "superb", "supersonic (40)"),)
    assert "1 of the 18 boosted tokens" in fragments.note
    coverage = table(found, "The words and their tokens")
    assert coverage.rows[0] == ("positive", "superb", "“ superb”", " supe | rb", "2 tokens")
    assert len(coverage.rows) == 18


def test_the_activation_method_swaps_for_negative_and_mixes_for_the_placebo() -> None:
    audit = steering(method="activation", contrast=CONTRAST)
    model = engine(steerable)
    _, samples = audit.run(execution(model))
    found = {
        s.request.factors["condition"]: s.request.sampling.direction for s in samples if isinstance(s.request, Generate)
    }
    toward: tuple[str, ...] = ("good soup", "nice tea", "warm day", "glad dog")
    away: tuple[str, ...] = ("bad soup", "foul tea", "cold day", "sad dog")
    assert found["neutral"] is None
    assert found["positive-2"] == Direction(3, toward, away, 2.0)
    assert found["negative-2"] == Direction(3, away, toward, 2.0)
    assert found["placebo-2"] == Direction(
        3,
        ("good soup", "foul tea", "warm day", "sad dog"),
        ("bad soup", "nice tea", "cold day", "glad dog"),
        2.0,
    )
    assert not any(isinstance(request, Tokenize) for request in model.requests)


def test_an_instruction_is_on_or_off_and_the_cost_is_that_of_the_plain_prompt() -> None:
    def answer(request: Generate) -> str:
        for text, push in (("Be kind.", 5), ("Be harsh.", -5)):
            if request.prompt.startswith(f"{text}\n\n"):
                return toned(request, push)
        return f" {PLAIN}"

    parsed = Steering.Params.model_validate(
        {
            "kind": "steering",
            "prompts": PROMPTS,
            "words": WORDS,
            "instructions": INSTRUCTIONS,
            "method": "instruction",
            "samples": 2,
            "checks": {"slope": {"min": 0.1}, "placebo_slope": {"max": 0.1}, "cost": {"max": 0.1}},
        },
        context={"scorers": SCORERS},
    )
    audit = Steering(parsed, scorers=SCORERS)
    model = engine(answer)
    found, samples = audit.run(execution(model))
    assert {s.request.factors["condition"] for s in samples} == {"neutral", *(f"{side}-1" for side in WORDS)}
    assert "instruction_effect" not in audit.metrics
    assert found.estimates["effect.positive-1"].value > 0.5
    assert found.estimates["slope"].value == pytest.approx(found.estimates["effect"].value)
    scored = [request for request in model.requests if isinstance(request, Score)]
    assert {request.context for request in scored} == set(PROMPTS)
    assert set(audit.problems()) == {"trend", "trend.positive", "trend.negative"}
    answers = effective(found)
    assert answers["Does the masked score rise with strength?"] == "not asked"
    assert answers["Effective: all of these"] == "yes"


def test_a_plain_instruction_is_compared_where_one_is_given() -> None:
    def answer(request: Generate) -> str:
        if str(request.factors["condition"]).startswith("instruction"):
            return toned(request, {"positive": 5, "negative": -5}.get(side_of(request), 0))
        return steerable(request)

    found, _ = ran(steering(instructions=INSTRUCTIONS), answer)
    told, pushed = found.estimates["instruction_effect.positive"], found.estimates["effect.positive-2"]
    assert told.value > pushed.value > 0
    over = found.estimates["effect_over_instruction.positive"]
    assert over.value == pytest.approx(pushed.value - told.value)
    assert found.estimates["effect_over_instruction"].value < 0


def test_empty_answers_are_not_scored_for_their_likelihood() -> None:
    model = engine(lambda request: "" if request.sample else f" {PLAIN}")
    found, samples = steering().run(execution(model))
    scored = [request for request in model.requests if isinstance(request, Score)]
    assert {request.continuation for request in scored} == {f" {PLAIN}"}
    assert len(scored) == len(PROMPTS)
    assert found.scores["log_perplexity"].count(None) == len(samples) / 2


@pytest.mark.parametrize(
    ("method", "steering_fields", "missing"),
    [
        ("words", {"logit_bias", "direction"}, "word_bias"),
        ("tokens", {"word_bias"}, "logit_bias"),
        ("first_tokens", set(), "logit_bias"),
        ("activation", {"logit_bias", "word_bias"}, "direction"),
    ],
)
def test_an_engine_that_cannot_steer_so_skips_the_audit_with_the_reason(
    method: str, steering_fields: set[str], missing: str
) -> None:
    model = FakeEngine(steering=frozenset(steering_fields))
    with pytest.raises(CapabilityError, match=f"cannot steer by {missing}, which the method {method} needs"):
        steering(method=method, contrast=CONTRAST).run(execution(model))
    assert model.requests == []


def test_an_engine_that_says_nothing_of_steering_cannot() -> None:
    model = FakeEngine()
    del model.steering
    with pytest.raises(CapabilityError):
        steering().run(execution(model))


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (Tokens((0,), ("<unk>",), (), 1, 0, "<unk>"), "it is unknown to the vocabulary"),
        (Tokens((), (), (), 0, 0, ""), "it gives no token"),
        (Tokens((4,), ("x",), (), 0, 0, " lov"), "its tokens decode to something else"),
        (Tokens((4,), ("x",), (), 0, 0, None), "the tokenizer cannot decode its tokens"),
        (Failure("too long"), "too long"),
    ],
)
def test_a_word_that_the_tokenizer_cannot_make_is_named_with_a_way_out(response: Response, reason: str) -> None:
    def handler(request: Request) -> Response | None:
        return response if isinstance(request, Tokenize) and request.text == " lovely" else None

    with pytest.raises(AuditError) as caught:
        steering().run(execution(FakeEngine(handler)))
    assert str(caught.value) == (
        f"words.positive: the tokenizer cannot make 'lovely' ({reason}); take the word out of the list, or use the"
        " method activation or instruction"
    )


def test_a_smoke_run_asks_two_answers_per_condition_and_all_words() -> None:
    audit = steering()
    found, samples = audit.run(execution(engine(steerable), smoke=True))
    assert len(samples) == 10 * 2
    assert set(found.estimates) == set(audit.metrics)


def test_the_answers_alone_give_everything_but_the_cost() -> None:
    audit = steering()
    whole, samples = ran(audit, steerable)
    alone = audit.measure(samples)
    assert alone.estimates["effect"] == whole.estimates["effect"]
    assert math.isnan(alone.estimates["cost"].value)
    assert alone.estimates["cost"].problem


def test_the_same_seed_gives_the_same_measurement() -> None:
    first, _ = ran(steering(), steerable)
    second, _ = ran(steering(), steerable)
    assert repr(first) == repr(second)


def test_evidence_shows_the_prompts_that_moved_least_with_their_neutral_answers() -> None:
    found, samples = ran(steering(), contrary)
    chosen = [samples[place] for place in found.evidence["effect.positive-4"]]
    assert [sample.request.factors["condition"] for sample in chosen] == ["positive-4", "neutral"] * 3
    values = found.estimates["effect.positive-4"].cluster_values
    assert values[chosen[0].request.cluster] == min(values.values())
    assert all(len(scores) == len(samples) for scores in found.scores.values())
    assert found.evidence["effect"] in {found.evidence["effect.positive-2"], found.evidence["effect.negative-2"]}
    slope = [samples[place] for place in found.evidence["slope.negative"]]
    assert [sample.request.factors["condition"] for sample in slope] == ["negative-4", "neutral"] * 3
    slopes = found.estimates["slope.negative"].cluster_values
    assert slopes[slope[0].request.cluster] == min(slopes.values())
    assert set(found.evidence) <= set(found.estimates)


def test_what_the_scorer_knows_of_the_lists() -> None:
    found, _ = ran(steering(), steerable)
    lexicon = Sentiment().lexicon
    assert {"superb", "nasty"} <= lexicon
    assert found.estimates["lexicon_overlap.positive"].value == 1
    assert found.estimates["lexicon_overlap.placebo"].value == 0
    assert found.estimates["lexicon_overlap"].value == 1
    rows = {row[0]: row[1:] for row in table(found, "The lists and the scorer's own words").rows}
    assert rows["positive"][:2] == (3, 3)
    assert float(str(rows["positive"][2])) > 0.4
    assert rows["positive"][3] == rows["placebo"][2] == rows["placebo"][3] == 0
    unknown, _ = ran(steering(scorer="length"), steerable)
    assert unknown.estimates["lexicon_overlap"].problem == "the scorer length does not tell which words it knows"


def test_figures_show_dose_and_response_above_the_cost() -> None:
    found, _ = ran(steering(), steerable)
    curves = next(figure for figure in found.figures if isinstance(figure, Curves))
    assert [panel.axis for panel in curves.panels] == [
        "change of sentiment, words masked or raw, compound (-1 to 1)",
        "change of log-perplexity, nats per token",
    ]
    assert curves.panels[1].limits == (0.3,)
    by_name = {curve.name: curve.points for curve in curves.panels[0].curves}
    assert [point[0] for point in by_name["negative"]] == [0, 1, 2, 4]
    last = by_name["negative"][-1]
    effect = found.estimates["effect.negative-4"]
    assert last[1] == pytest.approx(-effect.value)
    assert last[2] is not None
    bars = [figure for figure in found.figures if isinstance(figure, Bars)]
    assert [len(figure.rows) for figure in bars] == [len(PROMPTS), len(PROMPTS)]
    assert bars[0].rows[0][1] == min(found.estimates["slope.positive"].cluster_values.values())


def test_too_few_prompts_and_too_few_strengths_are_said_before_anything_runs() -> None:
    assert steering().problems() == {}
    few = steering(prompts=PROMPTS[:5]).problems()
    assert few["slope"] == "design: 5 clusters, a t interval needs 10: add prompts"
    assert "lexicon_overlap" not in few
    one = steering(strengths=[0, 3]).problems()
    assert set(one) == {"trend", "trend.positive", "trend.negative"}
    assert one["trend"] == "design: 2 strengths, neutral's 0 included, and a trend needs 3"
    found, _ = ran(steering(strengths=[3]), steerable)
    assert found.estimates["trend.positive"].p_value is not None  # by sign flips: Page's test needs three


def test_the_middle_strength_is_judged_where_none_is_named() -> None:
    assert steering(strengths=[5, 1, 0, 3, 2]).params.design.at == 2
    assert steering(strengths=[0.5]).params.design.at == 0.5
    assert steering(at=4).params.design.at == 4
    assert "effect.positive-0.5" in steering(strengths=[0.5]).metrics


def test_settings_repeat_the_experiment() -> None:
    audit = steering(instructions=INSTRUCTIONS, contrast=CONTRAST)
    settings = {setting.name: setting.value for setting in audit.settings()}
    assert settings["method"] == "words"
    assert settings["strengths"] == "0, 1, 2, 4"
    assert settings["judged at strength"] == "2"
    assert settings["prompts"] == "20"
    assert settings["positive words"] == "3"
    assert settings["temperature"] == "0.8"
    assert settings["placebo instruction"] == "Go on."
    assert settings["layer"] == "3"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": {"town": []}}, "prompts.town\n  List should have at least 1 item"),
        ({"prompts": {}}, "at least 1 item"),
        ({"prompts": ["a", "a"]}, "'a' stands here twice"),
        ({"prompts": ["It is "]}, "a space at the start or end of 'It is '"),
        ({"prompts": [" "]}, "an empty prompt"),
        ({"words": {**WORDS, "positive": []}}, "at least 1 item"),
        ({"words": {**WORDS, "placebo": ["wooden"]}}, "placebo has 1 words and positive 3"),
        ({"words": {**WORDS, "negative": ["bad", "Bad"]}}, "'bad' stands twice in negative"),
        ({"words": {**WORDS, "negative": ["Superb"]}}, "'Superb' is both in positive and in negative"),
        ({"words": {**WORDS, "negative": ["very bad"]}}, "'very bad' is no word"),
        ({"words": {**WORDS, "negative": [""]}}, "'' is no word"),
        ({"words": {"positive": ["good"], "negative": ["bad"]}}, "Field required"),
        ({"strengths": []}, "at least 1 item"),
        ({"strengths": [0]}, "needs a strength above 0"),
        ({"strengths": [0, -1]}, "greater than or equal to 0"),
        ({"strengths": [1, math.inf]}, "a finite number"),
        ({"strengths": [1, math.nan]}, "a finite number"),
        ({"strengths": [1, 2, 1.0]}, "the strength 1 stands here twice"),
        ({"at": 3}, "3 is not among the strengths above 0 (1, 2, 4)"),
        ({"at": 0}, "0 is not among the strengths above 0 (1, 2, 4)"),
        ({"method": "wrods"}, "unknown method 'wrods'; did you mean 'words'?"),
        ({"method": "activation"}, "the method activation needs the key 'contrast'"),
        ({"method": "instruction"}, "the method instruction needs the key 'instructions'"),
        ({"method": "instruction", "instructions": INSTRUCTIONS}, "the method instruction has no strengths"),
        ({"contrast": {**CONTRAST, "layer": 0}}, "greater than or equal to 1"),
        ({"contrast": {**CONTRAST, "away": ["x"]}}, "toward has 4 texts and away 1"),
        ({"contrast": {"toward": ["a"], "away": ["b"], "layer": 1}}, "an even number of them"),
        ({"contrast": {"toward": ["a", "b"], "away": ["a", "c"], "layer": 1}}, "'a' stands here twice"),
        ({"instructions": {"positive": "Be kind."}}, "Field required"),
        ({"instructions": {**INSTRUCTIONS, "placebo": " "}}, "should match pattern"),
        ({"scorer": "sentimnet"}, "unknown scorer 'sentimnet'; did you mean 'sentiment'?"),
        ({"samples": 0}, "greater than or equal to 1"),
        ({"sampling": {"temperature": 0}}, "samples must be 1"),
        ({"spellings": "some"}, "'all' or 'after_space'"),
        ({"checks": {"slope": {"min": 0}}}, "slope: a min of 0 would pass a model that nothing moves"),
    ],
)
def test_what_cannot_be_audited(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        steering(**changes)
    assert message in str(caught.value)


SUITE = """\
suite: tone
audits:
  pushed:
    kind: steering
    prompts: [Life is]
    words: {positive: [good], negative: [bad, Good], placebo: [blue]}
    method: wrods
    strengths: [1, .nan]
    at: 7
    checks:
      trend: {min: 0}
"""


def test_every_mistake_has_its_place_in_the_suite(tmp_path: Path) -> None:
    path = tmp_path / "tone.audit.yaml"
    path.write_text(SUITE)
    with pytest.raises(SuiteError) as caught:
        load_suite(path, kinds={"steering": Steering}, scorers=SCORERS)
    problems = [problem.removeprefix(f"{path}:") for problem in caught.value.problems]
    assert problems == [
        "6:12: audits.pushed.words: 'Good' is both in positive and in negative",
        "7:13: audits.pushed.method: unknown method 'wrods'; did you mean 'words'? (known: first_tokens, tokens, words,"
        " activation, instruction)",
        "8:20: audits.pushed.strengths[1]: expected a finite number, got .nan",
    ]


def test_the_kind_offers_itself() -> None:
    assert pytest_llmaudit_audits() == [Steering]
    assert Steering.kind == "steering"
    assert steering().question.startswith("Can the model be steered towards a sentiment")
