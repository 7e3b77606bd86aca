"""Kind association, from lists of words to a report, on an engine whose vectors are known."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from llmaudit.audit import Measurement
from llmaudit.audits.association import AssociationAudit, pytest_llmaudit_audits
from llmaudit.engines.fake import FakeEngine
from llmaudit.execution import Execution
from llmaudit.exhibits import Bars, Heatmap
from llmaudit.types import Embed, Embedding, Failure, Request, Response

TARGETS = {"women": ["Ann", "Eve", "Ida", "Una"], "men": ["Bob", "Dan", "Joe", "Tim"]}
ATTRIBUTES = {"career": ["office", "salary"], "family": ["home", "child"]}
EXPLORED: dict[str, Any] = {"effect_size": {"role": "exploratory"}}
#: Angle of each word to the first axis, in degrees: women lie at the family's end, men at the career's.
ANGLES = {
    **dict(zip(("office", "salary", "home", "child"), (0, 10, 80, 90), strict=True)),
    **dict(zip(TARGETS["women"], (70, 60, 55, 50), strict=True)),
    **dict(zip(TARGETS["men"], (20, 30, 35, 40), strict=True)),
}


def association(**changes: Any) -> AssociationAudit:
    params = {"kind": "association", "targets": TARGETS, "attributes": ATTRIBUTES, "checks": EXPLORED, **changes}
    return AssociationAudit(AssociationAudit.Params.model_validate(params, context={}), scorers={}, seed=1)


def turned(request: Request) -> Response:
    assert isinstance(request, Embed)
    angle = math.radians(ANGLES[request.cluster])
    return Embedding((3 * math.cos(angle), 3 * math.sin(angle)), 1)


def measured(audit: AssociationAudit, answer: Any = turned) -> Measurement:
    engine = FakeEngine(answer)
    return audit.run(Execution(engine, lambda _: engine, lambda _, __: None))[0]


def with_career(*words: str) -> dict[str, Any]:
    return {"attributes": {"career": list(words), "family": ATTRIBUTES["family"][: len(words)]}}


def refusal(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        association(**changes)
    return str(caught.value.errors()[0]["msg"]).removeprefix("Value error, ")


def test_every_word_is_asked_for_in_every_sentence() -> None:
    asked = [
        r for r in association(sentences=["It is {word}.", "See {word}"], layer=3).requests() if isinstance(r, Embed)
    ]
    assert len(asked) == 12 * 2
    factors = {"role": "target", "set": "women", "sentence": "It is {word}."}
    assert asked[0] == Embed("It is Ann.", "Ann", "mean", 3, factors)
    assert asked[0].factors == factors
    assert [r.text for r in association().requests() if isinstance(r, Embed)][:2] == ["Ann", "Eve"]


def test_a_planted_association_is_found_with_its_sign() -> None:
    audit = association()
    found = measured(audit)
    assert set(found.estimates) == set(audit.metrics)
    effect = found.estimates["effect_size"]
    assert -2 < effect.value < -1.5
    # Of all 70 splits this is the one that lies furthest the other way.
    assert effect.p_value == 1
    swapped = measured(association(attributes={"family": ATTRIBUTES["family"], "career": ATTRIBUTES["career"]}))
    assert swapped.estimates["effect_size"].value == pytest.approx(-effect.value)
    assert swapped.estimates["effect_size"].p_value == pytest.approx(1 / 70)
    assert swapped.notes == (
        "p is one-sided, for women lying closer to family, over all 70 splits of the targets into equal lists.",
    )


def test_the_association_of_a_word_by_hand() -> None:
    found = measured(association())
    cos = [math.cos(math.radians(degrees)) for degrees in (70, 60, 10, 20)]
    expected = (cos[0] + cos[1]) / 2 - (cos[2] + cos[3]) / 2
    assert found.estimates["effect_size"].cluster_values["Ann"] == pytest.approx(expected)
    word, group, to_career, to_family, value = found.tables[0].rows[0]
    assert (word, group) == ("Ann", "women")
    assert (to_career, to_family) == pytest.approx(((cos[0] + cos[1]) / 2, (cos[2] + cos[3]) / 2))
    assert value == pytest.approx(expected)


def test_the_figures_show_every_target_and_every_pair() -> None:
    bars, heat = measured(association()).figures
    assert isinstance(bars, Bars)
    assert isinstance(heat, Heatmap)
    assert [row[0] for row in bars.rows][:2] == ["women: Ann", "women: Eve"]
    assert heat.rows == heat.columns == tuple(association().params.words)
    assert heat.values[0][0] == pytest.approx(1)
    assert heat.values[0][1] == pytest.approx(math.cos(math.radians(10)))


def test_nothing_of_it_is_judged() -> None:
    audit = association(
        checks={"effect_size": {"role": "exploratory", "max": 0.5}, "anisotropy": {"role": "exploratory"}}
    )
    assert list(audit.problems()) == ["effect_size"]
    for estimate in measured(audit).estimates.values():
        assert estimate.interval is None
        assert estimate.problem is not None
        assert "reported and never judged" in estimate.problem


def test_alike_words_have_no_effect_size() -> None:
    found = measured(association(), lambda request: Embedding((1.0, 1.0), 1))
    effect = found.estimates["effect_size"]
    assert math.isnan(effect.value)
    assert effect.problem is not None
    assert "nothing to divide by" in effect.problem
    assert found.estimates["anisotropy"].value == pytest.approx(1)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Failure("layer 99"), "1 embeddings are missing, and the lists must be whole"),
        (Embedding((0.0, 0.0), 1), "a word has an embedding without a direction: zero, or not finite"),
    ],
)
def test_a_word_without_a_vector_leaves_nothing_to_measure(answer: Response, problem: str) -> None:
    found = measured(association(), lambda request: answer if request.cluster == "Ann" else turned(request))
    assert set(found.estimates) == set(association().metrics)
    assert all(math.isnan(found.estimates[name].value) for name in ("effect_size", "statistic", "anisotropy"))
    assert found.estimates["anisotropy"].problem == problem
    assert found.figures == ()


def test_a_confirmatory_check_is_refused() -> None:
    message = refusal(checks={"effect_size": {"max": 0.5, "why": "small"}})
    assert message == (
        "an association never gates: distances inside a model need not go with what it does; say role: exploratory"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"targets": {"women": ["Ann", "Eve", "Ida", "Una"], "men": ["Bob"]}},
            "lists of unequal size: women has 4 words, men has 1",
        ),
        (
            {"targets": {"women": ["Ann", "Eve"], "men": ["Bob", "Dan"]}},
            "targets: women has 2 words, at least 4 are needed",
        ),
        (with_career("office"), "attributes: career has 1 words, at least 2 are needed"),
        (with_career("office", "Ann"), "the word 'Ann' stands in women and in career"),
        (with_career("office", "office"), "the word 'office' stands twice in career"),
        (with_career("office", " pay"), "a space at the start or end of the word ' pay'"),
        ({"sentences": ["It is here."]}, "'It is here.' needs the slot {word} once: the words take its place"),
        ({"sentences": ["A {word} {x}"]}, "a stray '{': the words take the place of {word}"),
        ({"sentences": ["A {word}", "A {word}"]}, "sentences: 'A {word}' stands here twice"),
    ],
)
def test_bad_lists_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    assert refusal(**changes) == message


def test_three_lists_are_refused() -> None:
    assert "at most 2 items" in refusal(targets={**TARGETS, "all": ["a", "b", "c", "d"]})


def test_the_kind_is_offered() -> None:
    assert pytest_llmaudit_audits() == [AssociationAudit]
