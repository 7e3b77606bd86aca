"""Kind diversity, from prompts to estimates, on engines whose answers are known."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from llmaudit.audit import Curves, Measurement, Table
from llmaudit.audits.diversity import Diversity, pytest_llmaudit_audits
from llmaudit.engines.fake import FakeEngine
from llmaudit.execution import Execution
from llmaudit.stats import Limit, judge
from llmaudit.types import (
    Completion,
    Failure,
    Generate,
    NextToken,
    NextTokens,
    Request,
    Response,
    Sample,
    Sampling,
    Score,
    Tokenize,
)

PLACES = ("office", "school", "market", "library", "harbour", "museum", "bakery", "theatre", "garden", "station")
PROMPTS = [f"In the {place}, people often" for place in PLACES]
VOCABULARY = [
    f"{first}{second}" for first in ("ba", "de", "fi", "go", "lu", "my") for second in ("ran", "sel", "tos", "vin")
]

Answer = Callable[[Generate], Response | str]


def diversity(**changes: Any) -> Diversity:
    params = {"kind": "diversity", "prompts": PROMPTS, "samples": 6, "checks": {"trend": {"min": 0.3}}}
    parsed = Diversity.Params.model_validate({**params, **changes}, context={"folder": Path()})
    return Diversity(parsed, scorers={}, seed=1)


def run(audit: Diversity, answer: Answer, *, smoke: bool = False) -> tuple[Measurement, Sequence[Sample], FakeEngine]:
    engine = FakeEngine(lambda request: answer(request) if isinstance(request, Generate) else None)
    measurement, samples = audit.run(Execution(engine, lambda _: engine, lambda _, __: None, smoke=smoke))
    return measurement, samples, engine


def dice(*parts: object) -> float:
    """A number in [0, 1) that depends on its parts alone."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=4).digest()) / 2**32


def varied(request: Generate) -> str:
    """Answer with one fixed word after another, or with another word the more often the higher the temperature."""
    words = []
    for step in range(30):
        own = dice(request.stream, step)
        moved = dice(request.stream, request.sample, step) < request.sampling.temperature / 1.5
        place = dice(request.stream, request.sample, step, "word") if moved else own
        words.append(VOCABULARY[int(place * len(VOCABULARY))])
    return " " + " ".join(words)


def collapsed(request: Generate) -> str:
    """Answer the same at every temperature."""
    return " " + " ".join(VOCABULARY[int(dice(request.stream, step) * len(VOCABULARY))] for step in range(30))


def deaf(request: Generate) -> str:
    """Vary as much at every temperature, and not from the same noise."""
    level = request.factors["level"]
    places = [int(dice(request.stream, request.sample, level, step) * len(VOCABULARY)) for step in range(30)]
    return " " + " ".join(VOCABULARY[place] for place in places)


def verdict(found: Measurement, metric: str, limit: Limit) -> str:
    return judge(found.estimates[metric], limit).verdict.value


def table(found: Measurement, title: str) -> Table:
    return next(each for each in found.tables if each.title == title)


def test_every_level_of_every_prompt_shares_the_noise_of_its_samples() -> None:
    audit = diversity(determinism=2, length=9)
    asked = [request for request in audit.requests() if isinstance(request, Generate)]
    assert len(asked) == len(PROMPTS) * (3 * 6 + 2)
    assert asked[0] == Generate(
        prompt=PROMPTS[0],
        cluster=PROMPTS[0],
        sampling=Sampling(0.1, max_new_tokens=12),
        stream=PROMPTS[0],
        factors={"domain": "all", "level": "0.1"},
    )
    assert [request.sampling.temperature for request in asked[:20]] == [0.1] * 6 + [0.7] * 6 + [1.2] * 6 + [0.0] * 2
    assert {request.stream for request in asked[:20]} == {PROMPTS[0]}
    assert asked == [request for request in audit.requests() if isinstance(request, Generate)]


def test_a_model_whose_variety_grows_with_the_temperature_passes() -> None:
    found, _, _ = run(diversity(), varied)
    for name in ("trend", "trend.vendi", "trend.distinct_2", "trend.self_bleu", "trend.ead"):
        assert found.estimates[name].value > 0.8, name
    assert verdict(found, "trend.vendi", Limit(min=0.5)) == "pass"
    assert found.estimates["trend.vendi"].p_value == pytest.approx(0, abs=1e-3)
    assert found.estimates["vendi_change.0.7-1.2"].value > 0
    assert found.estimates["determinism"].value == 1
    assert found.estimates["empty"].value == 0


def test_a_sampler_that_gives_the_same_text_at_every_temperature_fails() -> None:
    found, samples, _ = run(diversity(), collapsed)
    for name in ("trend", "trend.vendi", "trend.distinct_2"):
        assert found.estimates[name].value == 0
        assert verdict(found, name, Limit(min=0.5)) == "fail"
    assert found.estimates["vendi"].value == pytest.approx(1)
    assert verdict(found, "vendi", Limit(min=1.5)) == "fail"
    assert found.estimates["duplicates"].value == 1
    assert found.estimates["self_bleu"].value == pytest.approx(100)
    shown = [samples[index] for index in found.evidence["vendi"]]
    assert len({sample.request.cluster for sample in shown}) == 2
    assert len({sample.response for sample in shown}) == 2


def test_a_sampler_that_does_not_hear_its_temperature_does_not_pass() -> None:
    found, _, _ = run(diversity(), deaf)
    assert abs(found.estimates["trend.vendi"].value) < 0.5
    assert verdict(found, "trend.vendi", Limit(min=0.5)) != "pass"
    assert found.estimates["vendi"].value > 3


def test_all_metrics_are_known_before_and_measured_after() -> None:
    audit = diversity(matched_entropy=[2.0])
    found, _, _ = run(audit, varied)
    assert set(found.estimates) == set(audit.metrics)
    for name, estimate in found.estimates.items():
        metric = audit.metrics[name]
        assert (estimate.metric, estimate.unit, estimate.better) == (name, metric.unit, metric.better)
        assert estimate.deterministic is metric.deterministic
    assert {"vendi.H2.0", "trend.ead", "log_perplexity_change.0.1-1.2", "entropy.0.7"} <= set(found.estimates)
    assert not any(name.startswith("vendi_semantic") for name in found.estimates)


def test_indices_and_lengths_refer_to_the_samples_that_are_shown() -> None:
    found, samples, _ = run(diversity(), varied)
    assert all(len(values) == len(samples) for values in found.scores.values())
    assert all(0 <= index < len(samples) for shown in found.evidence.values() for index in shown)
    scored = [value for value in found.scores["log_perplexity"] if value is not None]
    assert len(scored) == len(PROMPTS) * 3 * 6
    assert not any(s.response.logprobs for s in samples if isinstance(s.response, NextTokens))
    assert all(isinstance(sample.request, Generate | NextToken) for sample in samples)


def test_the_same_answers_give_the_same_measurement() -> None:
    assert run(diversity(), varied)[0] == run(diversity(), varied)[0]


def test_answers_are_cut_before_they_are_scored() -> None:
    _, _, engine = run(diversity(length=10), varied)
    scored = [request for request in engine.requests if isinstance(request, Score)]
    assert scored
    assert {len(request.continuation.split()) for request in scored} == {10}
    assert all(varied_prompt in PROMPTS for varied_prompt in {request.context for request in scored})


def test_no_answer_is_asked_about_twice() -> None:
    _, _, engine = run(diversity(), collapsed)
    assert sum(isinstance(request, Score) for request in engine.requests) == len(PROMPTS)
    texts = [request.text for request in engine.requests if isinstance(request, Tokenize)]
    assert len(texts) == len(set(texts))


def test_log_perplexity_is_nats_per_token_of_the_cut_answers() -> None:
    def handler(request: Request) -> Response | str | None:
        return varied(request) if isinstance(request, Generate) else None

    found, samples, _ = run(diversity(), lambda request: str(handler(request)))
    cells = [
        (sample.request.cluster, found.scores["log_perplexity"][index], found.scores["tokens"][index])
        for index, sample in enumerate(samples)
        if sample.request.factors["level"] == "0.7"
    ]
    means = []
    for prompt in PROMPTS:
        mine = [(nats, size) for cluster, nats, size in cells if cluster == prompt and nats is not None and size]
        means.append(sum(nats * size for nats, size in mine) / sum(size for _, size in mine))
    assert found.estimates["log_perplexity.0.7"].value == pytest.approx(np.mean(means))


def test_empty_and_short_answers_are_reported_at_their_level() -> None:
    def tired(request: Generate) -> Response | str:
        if request.factors["level"] != "1.2":
            return varied(request)
        return "" if request.sample == 0 else Completion(" one two three", 4, "stop", request.prompt)

    found, samples, _ = run(diversity(), tired)
    assert found.estimates["empty.1.2"].value == pytest.approx(1 / 6)
    assert found.estimates["empty.0.1"].value == 0
    assert found.estimates["short.1.2"].value == 1
    # Three tokens are too few to compare: every prompt is left out, at every level.
    assert math.isnan(found.estimates["vendi.0.1"].value)
    assert found.estimates["vendi"].problem == "vendi.0.1: 10 of 10 prompts could not be measured (at most 20%)"
    shown = [samples[index] for index in found.evidence["empty"]]
    assert {sample.response.text for sample in shown if isinstance(sample.response, Completion)} == {""}
    assert found.evidence["empty.0.1"] == ()
    assert {samples[index].request.factors["level"] for index in found.evidence["short"]} == {"1.2"}
    first = table(found, "Missing, empty and short answers")
    assert first.first
    assert "10 of 10 prompts" in first.note
    assert verdict(found, "trend", Limit(min=0.5)) == "inconclusive"


def test_failures_are_missing_and_never_crash() -> None:
    found, _, _ = run(diversity(matched_entropy=[2.0]), lambda _: Failure("down"))
    assert set(found.estimates) == set(diversity(matched_entropy=[2.0]).metrics)
    for name in ("vendi", "trend", "empty", "log_perplexity_change", "determinism"):
        assert math.isnan(found.estimates[name].value), name
        assert found.estimates[name].problem
    assert found.estimates["empty.0.1"].missing == len(PROMPTS) * 6


def test_answers_that_failed_leave_the_share_of_empty_ones_undecided() -> None:
    def failing(request: Generate) -> Response | str:
        hot = request.factors["level"] == "1.2" and request.sample > 1
        return Failure("down") if hot else varied(request)

    found, _, _ = run(diversity(), failing)
    assert verdict(found, "empty.0.1", Limit(max=0.5)) == "pass"
    for name in ("empty.1.2", "empty", "short"):
        assert verdict(found, name, Limit(max=0.5)) == "inconclusive", name
    assert "10 of 10 prompts could not be measured" in str(found.estimates["empty"].problem)


def test_the_answers_and_contexts_alone_are_measured_in_the_order_of_the_requests() -> None:
    audit = diversity()
    whole, samples, _ = run(audit, varied)
    assert [sample.request for sample in samples] == list(audit.requests())
    alone = audit.measure(samples)
    assert alone.estimates["determinism"] == whole.estimates["determinism"]
    assert alone.estimates["duplicates"].value == whole.estimates["duplicates"].value
    assert all(len(values) == len(samples) for values in alone.scores.values())
    assert math.isnan(alone.estimates["log_perplexity"].value)


def test_a_smoke_run_asks_two_of_each_and_judges_nothing() -> None:
    found, _, engine = run(diversity(), varied, smoke=True)
    assert len(engine.requests) < 20
    assert set(found.estimates) == set(diversity().metrics)


def test_greedy_answers_that_differ_are_counted_by_prompt() -> None:
    def unsteady(request: Generate) -> str:
        unlike = request.sampling.temperature == 0 and "office" in request.prompt and request.sample == 2
        return "otherwise" if unlike else varied(request)

    found = run(diversity(), unsteady)[0].estimates["determinism"]
    assert (found.value, found.deterministic, found.cluster_values[PROMPTS[0]]) == (0.9, True, 0)


def test_loss_is_seen_where_it_is() -> None:
    def falling_apart(request: Generate) -> str:
        if request.factors["level"] == "1.2":
            return " мир \ufffd" + " да" * 28
        return varied(request)

    found, _, _ = run(diversity(), falling_apart)
    assert found.estimates["undecodable.1.2"].value == 1
    assert found.estimates["script_drift.1.2"].value == 1
    assert found.estimates["repetition.1.2"].value > 0.5
    assert found.estimates["repetition_change"].value > 0.5
    for name in ("undecodable.0.7", "script_drift.0.7"):
        assert found.estimates[name].value == 0


def test_words_that_the_vocabulary_splits_are_counted_with_a_space_before_them() -> None:
    def handler(request: Request) -> Response | str | None:
        if isinstance(request, Generate):
            return " whole" * 15 + " split" * 5 + " 12" * 10
        if isinstance(request, Tokenize) and request.text == " split":
            found = FakeEngine().run([Tokenize(" two words", "")])
            return next(found)[1]
        return None

    engine = FakeEngine(handler)
    found, _ = diversity(length=20).run(Execution(engine, lambda _: engine, lambda _, __: None))
    assert found.estimates["split_words.0.1"].value == pytest.approx(0.25)


def test_entropy_rises_with_the_temperature_and_is_matched() -> None:
    found, _, engine = run(diversity(matched_entropy=[2.0, 2.5], contexts=["One", "Two", "Three"]), varied)
    levels = [found.estimates[f"entropy.{level}"].value for level in ("0.1", "0.7", "1.2")]
    assert levels == sorted(levels)
    assert found.estimates["entropy_rise_check"].value == 1
    low, high = (found.estimates[f"matched_temperature.H{target}"].value for target in (2.0, 2.5))
    assert 0.1 < low < high
    drawn = {r.factors["level"]: r.sampling.temperature for r in engine.requests if isinstance(r, Generate)}
    assert (drawn["H2.0"], drawn["H2.5"]) == (low, high)
    entropies = table(found, "Next-token entropy by context")
    assert entropies.columns == ("context", "0.1", "0.7", "1.2", "H2.0", "H2.5")
    assert np.mean([row[4] for row in entropies.rows if isinstance(row[4], float)]) == pytest.approx(2.0)


def test_an_entropy_that_no_temperature_reaches_is_said_and_its_level_missing() -> None:
    found, _, _ = run(diversity(matched_entropy=[20.0]), varied)
    problem = found.estimates["matched_temperature.H20.0"].problem
    assert problem is not None
    assert problem.startswith("no temperature between 0.01 and 100")
    assert math.isnan(found.estimates["vendi.H20.0"].value)
    assert found.estimates["vendi"].problem is None


def test_a_context_without_its_distribution_leaves_matched_entropies_undecided() -> None:
    def handler(request: Request) -> Response | str | None:
        if isinstance(request, NextToken) and request.prompt == "One":
            return Failure("down")
        return varied(request) if isinstance(request, Generate) else None

    engine = FakeEngine(handler)
    audit = diversity(matched_entropy=[2.0], contexts=["One", "Two", "Three"])
    found, _ = audit.run(Execution(engine, lambda _: engine, lambda _, __: None))
    for name in ("matched_temperature.H2.0", "entropy.0.7", "entropy_rise_check"):
        assert found.estimates[name].problem == "1 of 3 contexts have no whole distribution", name
        assert found.estimates[name].missing == 1


def test_top_p_can_be_varied_in_place_of_the_temperature() -> None:
    audit = diversity(temperatures=None, top_p=[0.9, 0.5, 1.0], sampling={"temperature": 0.8})
    assert audit.params.levels == {
        "0.5": Sampling(0.8, 0.5, max_new_tokens=32),
        "0.9": Sampling(0.8, 0.9, max_new_tokens=32),
        "1.0": Sampling(0.8, 1.0, max_new_tokens=32),
    }
    found, _, _ = run(audit, varied)
    assert found.estimates["entropy_rise_check"].value == 1
    assert {setting.name: setting.value for setting in audit.settings()}["top_p"] == "0.5, 0.9, 1.0"


def test_figures_show_diversity_over_levels_and_against_its_cost() -> None:
    found, _, _ = run(diversity(matched_entropy=[2.0]), varied)
    curves = {figure.title: figure for figure in found.figures if isinstance(figure, Curves)}
    over = curves["Diversity and its cost over the levels"]
    assert [point[0] for point in over.panels[0].curves[0].points] == [0.1, 0.7, 1.2]
    against = curves["Diversity against coherence"].panels[0].curves
    assert [curve.labels for curve in against] == [("0.1", "0.7", "1.2"), ("H2.0",)]


def test_changes_are_adjusted_over_all_of_them() -> None:
    found, _, _ = run(diversity(), varied)
    rows = table(found, "Changes between levels").rows
    assert len(rows) == 10 * 2 + 7
    for *_, p, adjusted in rows:
        assert isinstance(p, float)
        assert isinstance(adjusted, float)
        assert adjusted >= p


def test_settings_tell_how_to_repeat_it() -> None:
    told = {setting.name: setting.value for setting in diversity().settings()}
    assert told["temperature"] == "0.1, 0.7, 1.2"
    assert told["self-BLEU"].startswith("sacrebleu nrefs:5|")
    assert told["prompts"] == "10"


def test_too_few_prompts_are_said_before_anything_runs() -> None:
    problems = diversity(prompts=PROMPTS[:9]).problems()
    assert "9 clusters" in problems["trend"]
    assert problems["trend"].endswith("add prompts")
    assert "determinism" not in problems
    assert not diversity().problems()


def refusal(**changes: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        diversity(**changes)
    (error,) = raised.value.errors()
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


BAD: Sequence[tuple[Mapping[str, Any], str]] = (
    ({"temperatures": [0.7]}, "temperatures: List should have at least 2 items"),
    ({"temperatures": [0.0, 0.7]}, "temperatures.0: Value error, temperature 0 gives the same answer every time"),
    ({"temperatures": [-1.0, 0.7]}, "temperatures.0: Input should be greater than or equal to 0"),
    ({"temperatures": [math.inf, 0.7]}, "temperatures.0: Input should be a finite number"),
    ({"temperatures": [0.1, math.nan]}, "temperatures.1: Input should be a finite number"),
    ({"temperatures": [0.1, 1000.0]}, "temperatures.1: Input should be less than or equal to 100"),
    ({"temperatures": [0.7, 0.1, 0.7]}, "temperatures: Value error, 0.7 stands here twice"),
    ({"temperatures": [0.1, 0.7], "top_p": [0.5, 1.0]}, ": Value error, temperatures and top_p: one of them varies"),
    ({"top_p": [0.5]}, "top_p: List should have at least 2 items"),
    ({"top_p": [0.5, 1.5]}, "top_p.1: Input should be less than or equal to 1"),
    ({"sampling": {"temperature": 0.5}}, ": Value error, sampling: temperature is what varies"),
    ({"samples": 1}, "samples: Input should be greater than or equal to 2"),
    ({"determinism": 1}, "determinism: Input should be greater than or equal to 2"),
    ({"prompts": []}, "prompts.all: List should have at least 1 item"),
    ({"prompts": {"a": PROMPTS, "b": PROMPTS[:1]}}, f"prompts: Value error, {PROMPTS[0]!r} stands here twice"),
    ({"prompts": [" "]}, "prompts.all.0: Value error, an empty prompt"),
    ({"prompts": ["It is "]}, "prompts.all.0: Value error, a space at the start or end of 'It is '"),
    ({"contexts": ["One", "One"]}, "contexts: Value error, 'One' stands here twice"),
    ({"matched_entropy": [0]}, "matched_entropy.0: Input should be greater than 0"),
    ({"matched_entropy": [1e20]}, "matched_entropy.0: Input should be less than or equal to 20"),
    ({"matched_entropy": [2.0], "top_p": [0.5, 1.0]}, ": Value error, matched_entropy is reached by a temperature"),
    ({"sampling": {"max_new_tokens": 9}}, ": Value error, sampling: max_new_tokens is below length (24)"),
    ({"encoder": "nowhere"}, "encoder: Value error, there is no folder nowhere"),
    ({"encoder": "tests"}, "encoder: Value error, tests: not a model folder (there is no config.json)"),
)


@pytest.mark.parametrize(("changes", "words"), BAD, ids=[words[:60] for _, words in BAD])
def test_bad_input_is_one_message_at_its_place(changes: Mapping[str, Any], words: str) -> None:
    assert refusal(**changes).startswith(words)


def test_this_module_offers_its_kind() -> None:
    assert pytest_llmaudit_audits() == [Diversity]
