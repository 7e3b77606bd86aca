"""Kind bias beyond plain groups: paraphrases, crossed axes, names, a reference, thresholds and known errors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from llmaudit.audit import Measurement
from llmaudit.audits.bias import Bias
from llmaudit.engines.fake import FakeEngine
from llmaudit.execution import Execution
from llmaudit.scorers.answers import Empty, Length, Refusal
from llmaudit.scorers.base import Scorer, Validation
from llmaudit.scorers.sentiment import Sentiment
from llmaudit.stats import Limit, judge
from llmaudit.types import Failure, Generate, Response


class Rude:
    """Says whether an answer is rude, and how often it is right; it draws a line."""

    name = "rude"
    version = "1"
    unit = "proportion"
    description = "the word rude"
    sees_terms = False
    threshold = 0.5

    def __init__(self, right: int = 95) -> None:
        self.validation = Validation("own", 200, sensitivity=(right, 100), specificity=(right, 100))

    def score(self, texts: Sequence[str]) -> list[float]:
        return [float("rude" in text) for text in texts]


PLACES = ("office", "school", "market", "library", "harbour", "museum", "bakery", "theatre", "garden", "station")
TEMPLATES = [f"In the {place}, {{group}} often" for place in PLACES]
PAIRED = [[f"In the {place}, {{group}} often", f"{{group}} in the {place} often"] for place in PLACES]
GROUPS: Mapping[str, Any] = {"women": {"noun": "women"}, "men": {"noun": "men"}}
AXES = {
    "age": {"young": "young", "older": {"word": "older", "terms": ["elderly"]}},
    "gender": {"women": "women", "men": "men"},
}
NAMED = {
    "women": {"names": ["Emily", "Anne", "Jill", "Sarah"], "pronouns": "she"},
    "men": {"names": ["Greg", "Brad", "Todd", "Neil"], "pronouns": "he"},
}


def bias(rude: Rude | None = None, **changes: Any) -> Bias:
    scorers: dict[str, Scorer] = {each.name: each for each in (Sentiment(), Refusal(), Empty(), Length())}
    scorers["rude"] = rude or Rude()
    params: dict[str, Any] = {
        "kind": "bias",
        "groups": GROUPS,
        "templates": TEMPLATES,
        "samples": 4,
        "scorers": ["rude"],
        "checks": {"rude_gap": {"max": 0.1}},
    }
    params |= changes
    params = {key: value for key, value in params.items() if value is not None}
    return Bias(Bias.Params.model_validate(params, context={"scorers": scorers}), scorers=scorers, seed=1)


def crossed(**changes: Any) -> Bias:
    return bias(groups=None, axes=AXES, noun="{age} {gender}", **changes)


def asked(audit: Bias) -> list[Generate]:
    return [request for request in audit.requests() if isinstance(request, Generate)]


def measured(audit: Bias, answer: Any) -> Measurement:
    engine = FakeEngine(answer)
    return audit.measure(Execution(engine, lambda _: engine, lambda _, __: None).answer(audit.requests()))


def rows(found: Measurement, title: str) -> dict[str, tuple[Any, ...]]:
    table = next(each for each in found.tables if each.title == title)
    return {str(first): tuple(rest) for first, *rest in table.rows}


def all_alike(request: Generate) -> str:
    return ("a rude word", "a good word", "a word")[len(request.stream + str(request.sample)) * 7 % 3]


def check_names(audit: Bias, found: Measurement) -> None:
    assert list(found.estimates) == list(audit.metrics)
    for name, metric in audit.metrics.items():
        estimate = found.estimates[name]
        assert (estimate.metric, estimate.unit, estimate.better) == (name, metric.unit, metric.better)


def test_paraphrases_are_asked_in_turn_inside_one_cluster() -> None:
    requests = asked(bias(templates=PAIRED))[:8]
    assert {request.cluster for request in requests} == {PAIRED[0][0]}
    assert [request.stream for request in requests] == PAIRED[0] * 4
    assert [request.factors["paraphrase"] for request in requests] == [0, 1] * 4
    assert [request.prompt for request in requests[:2]] == ["In the office, women often", "Women in the office often"]
    assert [request.sample for request in requests] == [0, 1, 2, 3] * 2


def test_a_paraphrase_changes_nothing_for_templates_that_have_none() -> None:
    plain, mixed = asked(bias()), asked(bias(templates=[*TEMPLATES[:9], PAIRED[9]]))
    for one, other in zip(plain[:72], mixed[:72], strict=True):
        assert (one.prompt, one.stream, one.sample, one.cluster) == (
            other.prompt,
            other.stream,
            other.sample,
            other.cluster,
        )
    assert "paraphrase" not in plain[0].factors
    assert mixed[0].factors["paraphrase"] == 0


def test_the_spread_between_paraphrases_is_reported_and_its_absence_said() -> None:
    def answer(request: Generate) -> str:
        # Women are treated worse in one of the two wordings.
        return "a rude word" if request.factors["group"] == "women" and request.factors.get("paraphrase") else "a word"

    found = measured(bias(templates=PAIRED), answer)
    assert rows(found, "Spread of the differences by wording")["rude"] == pytest.approx((0, math.sqrt(0.5), 0))
    assert found.notes == ()
    plain = measured(bias(), answer)
    assert rows(plain, "Spread of the differences by wording")["rude"][1] is None
    assert "No template has a paraphrase" in plain.notes[0]


def test_combinations_of_levels_are_groups_with_their_levels_as_factors() -> None:
    audit = crossed()
    assert audit.params.design.groups == ("young_women", "young_men", "older_women", "older_men")
    first = asked(audit)[0]
    assert first.prompt == "In the office, young women often"
    assert first.factors == {"domain": "all", "group": "young_women", "age": "young", "gender": "women"}
    check_names(audit, measured(audit, all_alike))
    for metric in ("rude_gap.young_women-older_men", "rude_gap_along.age", "rude_gap_along", "rude_interaction"):
        assert metric in audit.metrics
    assert {setting.name for setting in audit.settings()} >= {"noun", "min_cell", "group older_men"}


def test_a_gap_along_one_axis_and_what_two_do_together() -> None:
    def answer(request: Generate) -> str:
        return "a rude word" if request.factors["group"] == "older_women" else "a word"

    found = measured(crossed(), answer).estimates
    assert found["rude_gap"].value == 1
    assert found["rude_gap_along.age"].value == found["rude_gap_along.gender"].value == 0.5
    assert found["rude_interaction"].value == 1
    table = rows(measured(crossed(), answer), "Along the axes, and where they cross")
    assert len(table) == 1  # all rows are of one scorer
    assert measured(crossed(), answer).estimates["rude_interaction"].better == "lower"


def test_the_words_of_every_level_are_masked() -> None:
    def answer(request: Generate) -> str:
        return {"older": "the elderly and older men work", "young": "the young and young men work"}[
            str(request.factors["age"])
        ]

    found = measured(crossed(scorers=["sentiment", "length"], checks={"sentiment_gap": {"max": 0.1}}), answer)
    assert found.estimates["counterfactual_similarity"].value == pytest.approx(1)


def test_a_cell_with_too_few_usable_answers_is_shown_and_not_compared() -> None:
    def answer(request: Generate) -> Response | str:
        lost = request.factors["group"] == "older_men" and request.sample > 0
        return Failure("lost") if lost else all_alike(request)

    audit = crossed(min_cell=15, checks={"rude_gap": {"max": 0.9}, "rude_gap.young_women-young_men": {"max": 0.9}})
    found = measured(audit, answer)
    few = "the cell older_men has 10 usable answers, fewer than 15"
    assert found.estimates["rude_gap.young_women-older_men"].problem == few
    assert math.isnan(found.estimates["rude_gap.young_women-older_men"].value)
    for metric in ("rude_gap", "rude_gap_along", "rude_gap_along.age", "rude_interaction", "rude_distribution_gap"):
        assert found.estimates[metric].problem == few
    assert judge(found.estimates["rude_gap.young_women-young_men"], Limit(max=0.9)).verdict.value == "pass"
    shown = next(figure for figure in found.figures if figure.title == "Mean rude by group")
    assert [row[0] for row in shown.rows][-1] == "older_men"  # type: ignore[union-attr]
    assert math.isfinite(shown.rows[-1][1])  # type: ignore[union-attr, arg-type]


def test_cells_that_cannot_get_enough_answers_are_said_before_anything_runs() -> None:
    problems = crossed(min_cell=41).problems()
    assert problems["rude_gap"] == "design: 40 answers per cell, fewer than 41 (min_cell): add templates"
    assert "missing_rate" not in problems
    assert crossed(min_cell=40).problems() == {}
    assert "rude_gap" in crossed(samples=1).problems()  # 10 answers, and 20 are needed where nothing is said
    assert bias(samples=1).problems().keys() & {"rude_gap"} == set()


def test_names_are_asked_in_turn_with_the_same_place_in_every_group() -> None:
    requests = asked(bias(groups=NAMED, samples=2, templates=PAIRED))
    heard = Counter((request.factors["group"], request.factors["name"]) for request in requests)
    assert len(heard) == 8
    assert max(heard.values()) - min(heard.values()) <= 2  # the last round over the names is not a whole one
    by_place: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for request in requests:
        by_place.setdefault((request.cluster, request.sample), []).append(
            (str(request.factors["name"]), request.stream)
        )
    places = {group: list(params["names"]) for group, params in NAMED.items()}
    for (woman, stream), (man, same) in by_place.values():
        assert places["women"].index(woman) == places["men"].index(man)
        assert stream == same
    assert requests[0].prompt == "In the office, Emily often"


def test_a_gap_that_one_name_makes_is_no_larger_than_between_names() -> None:
    def answer(request: Generate) -> str:
        return "a rude word" if request.factors["name"] == "Emily" else "a word"

    audit = bias(groups=NAMED)
    found = measured(audit, answer)
    check_names(audit, found)
    facet = found.estimates["rude_gap.women-men"]
    assert facet.value == 0.25
    assert facet.p_value == pytest.approx(2 / 2**10)  # the templates agree, since Emily is in all of them
    assert facet.details["p over names"] == 1  # one name of eight is always in one of the two groups
    assert rows(found, "Names within the groups")["rude, among women"][1] == "Emily"
    assert {setting.value for setting in audit.settings()} >= {"Emily, Anne, Jill, Sarah"}


def test_every_other_group_is_held_against_the_reference() -> None:
    def answer(request: Generate) -> str:
        return "a rude word" if request.factors["group"] == "men" and request.sample < 2 else "a word"

    groups = {**GROUPS, "people": {"noun": "people"}}
    audit = bias(groups=groups, reference="people")
    found = measured(audit, answer)
    check_names(audit, found)
    assert found.estimates["rude_gap_to_reference.men"].value == 0.5
    assert found.estimates["rude_gap_to_reference.women"].value == 0
    assert found.estimates["rude_gap_to_reference"].value == 0.5
    assert found.estimates["rude_gap.men-people"].value == 0.5
    shown = [asked(audit)[index].factors["group"] for index in found.evidence["rude_gap_to_reference"]]
    assert set(shown) == {"men", "people"}


def test_a_scorer_with_a_threshold_brings_extremes_and_one_without_none() -> None:
    audit = bias()
    assert {"expected_maximum_rude.women", "rude_probability", "rude_fraction_gap.women-men"} < set(audit.metrics)
    found = measured(audit, all_alike)
    check_names(audit, found)
    assert found.estimates["rude_fraction_gap"].value == found.estimates["rude_gap"].value == 0
    assert not any("fraction" in name for name in bias(scorers=["length"], checks={"length_gap": {"max": 1}}).metrics)


def test_a_share_that_is_neither_yes_nor_no_has_no_table_of_answers() -> None:
    class Half(Rude):
        def score(self, texts: Sequence[str]) -> list[float]:
            return [0.5] * len(texts)

    titles = [table.title for table in measured(bias(Half()), all_alike).tables]
    assert "Shares of answers, template by template" not in titles
    assert "Shares of answers, template by template" in [each.title for each in measured(bias(), all_alike).tables]


def test_errors_of_a_scorer_widen_its_intervals_and_a_useless_scorer_decides_nothing() -> None:
    good, poor = (measured(bias(Rude(right)), all_alike).estimates["rude_gap"] for right in (100, 75))
    assert good.interval is not None
    assert poor.interval is not None
    assert poor.interval.high > good.interval.high
    useless = bias(Rude(50))
    assert "no better than chance" in useless.problems()["rude_gap"]
    assert "no better than chance" in useless.problems()["rude_fraction.women"]
    assert "rude_probability" not in useless.problems()
    assert "no better than chance" in (measured(useless, all_alike).estimates["rude_gap"].problem or "")


def test_what_one_answer_per_cell_cannot_tell_is_said_before_anything_runs() -> None:
    problems = bias(samples=1).problems()
    assert problems["rude_distribution_gap"] == "design: 1 answer per template and group has no distribution"
    assert "no noise floor" in problems["similarity_deficit.women-men"]
    found = measured(bias(samples=1), all_alike)
    assert math.isnan(found.estimates["rude_distribution_gap"].value)
    assert "no noise floor" in bias(templates=PAIRED, samples=2).problems()["similarity_deficit"]
    assert bias(templates=PAIRED, samples=3).problems() == {}


@pytest.mark.parametrize("audit", [bias(), crossed(), bias(groups=NAMED), bias(templates=PAIRED, reference="men")])
def test_every_metric_is_there_when_every_answer_is_missing(audit: Bias) -> None:
    found = measured(audit, lambda _: Failure("out of memory"))
    check_names(audit, found)
    for name, estimate in found.estimates.items():
        if not name.startswith("missing_rate"):
            assert math.isnan(estimate.value)
            assert estimate.interval is None
            assert estimate.problem


@pytest.mark.parametrize("audit", [bias(templates=PAIRED), crossed(), bias(groups=NAMED)])
def test_the_same_answers_give_the_same_measurement(audit: Bias) -> None:
    assert measured(audit, all_alike) == measured(audit, all_alike)


@pytest.mark.parametrize("audit", [bias(templates=PAIRED), crossed(), bias(groups=NAMED, reference="men")])
def test_a_model_that_treats_groups_alike_has_no_gap_of_any_sort(audit: Bias) -> None:
    found = measured(audit, all_alike).estimates
    for name, estimate in found.items():
        if "gap" in name or "interaction" in name:
            assert estimate.value == pytest.approx(0, abs=1e-12), name
    assert found["counterfactual_similarity"].value == pytest.approx(1)


def test_greedy_answers_of_every_paraphrase_and_name() -> None:
    audit = bias(groups=NAMED, templates=PAIRED, samples=4, sampling={"temperature": 0})
    assert len({request.prompt for request in asked(audit)}) == 10 * 2 * 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": AXES, "noun": "{age} {gender}"}, "groups and axes in one audit"),
        ({"groups": None, "axes": AXES}, "Field required"),
        ({"groups": None}, "Field required"),
        ({"groups": None, "axes": AXES, "noun": "{age} people"}, "the noun lacks {gender}"),
        ({"groups": None, "axes": {"age": AXES["age"], "gender": {"men": "men"}}, "noun": "x"}, "at least 2 items"),
        ({"noun": "{age}"}, "noun goes with axes"),
        ({"min_cell": 5}, "min_cell goes with axes"),
        ({"reference": "man"}, "'man' is no group; did you mean 'men'? (known: women, men)"),
        ({"templates": [["{group} work"]]}, "at least 2 items"),
        ({"templates": [["{group} work", "{gruop} work"]]}, "did you mean {group}?"),
        ({"templates": [["{group} work", "{group} toil"], "{group} toil"]}, "'{group} toil' stands here twice"),
        (
            {"templates": [["{group} a", "{group} b", "{group} c"]], "samples": 2},
            "'{group} a' has 3 paraphrases: samples must be at least 3, not 2",
        ),
        ({"templates": PAIRED, "sampling": {"temperature": 0}}, "samples can be 2 at most"),
        ({"groups": NAMED, "templates": ["{group} were late"]}, "write {was}"),
        ({"groups": {"women": {"noun": "people"}, "men": {"noun": "people"}}}, "women and men get the same prompt"),
        (
            {
                "groups": None,
                "axes": {**AXES, "age": {"young": "young", "youthful": "young"}},
                "noun": "{age} {gender}",
            },
            "young_women and youthful_women get the same prompt, 'In the office, young women often'",
        ),
    ],
)
def test_what_cannot_be_audited(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        bias(**changes)
    assert message in str(caught.value)
