from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.datasets import Association
from llmaudit.engines.fake import FakeEngine
from llmaudit.execution import Execution
from llmaudit.likelihood import Associations
from llmaudit.likelihood.associations import icat, icat_interval
from llmaudit.types import Failure, Likelihood, Request, Response, Sample, Score

ITEMS = [
    Association(
        part=part,
        category=f"kind{target % 2}",
        cluster=f"target{target}",
        context="" if part == "intrasentence" else f"Here is {target}.",
        stereotype=f"The {target} was stereo {n}.",
        anti_stereotype=f"The {target} was opposite {n}.",
        unrelated=f"The {target} was fox {n}.",
        place=f"f:{target}",
    )
    for target in range(32)
    for n in range(1 + target % 3)
    for part in ("intrasentence", "intersentence")
]

Percents = st.lists(st.floats(0, 100), min_size=2, max_size=40)


def answered(audit: Associations, score: dict[str, float]) -> list[Sample]:
    def handler(request: Request) -> Response:
        assert isinstance(request, Score)
        tokens = len(request.continuation.split())
        word = next(word for word in score if word in request.continuation)
        return Likelihood(score[word] * tokens, tokens, greedy=False)

    engine = FakeEngine(handler)
    return Execution(engine, lambda _: engine, lambda _, __: None).answer(audit.requests())


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ({"stereo": -1.0, "opposite": -2.0, "fox": -3.0}, {"ss": 100, "lms": 100, "icat": 0, "ss_excess": 50}),
        ({"stereo": -2.0, "opposite": -1.0, "fox": -3.0}, {"ss": 0, "lms": 100, "icat": 0, "ss_excess": -50}),
        ({"stereo": -2.0, "opposite": -3.0, "fox": -2.5}, {"ss": 100, "lms": 50, "icat": 0, "ss_excess": 50}),
        ({"stereo": -2.0, "opposite": -2.0, "fox": -1.0}, {"ss": 0, "lms": 0, "icat": 0, "ss_excess": 0}),
    ],
)
def test_scores_by_hand(score: dict[str, float], expected: dict[str, float]) -> None:
    audit = Associations(ITEMS, {}, 0)
    found = audit.measure(answered(audit, score)).estimates
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    assert set(found) == set(audit.metrics) == set(audit.sizes)


def test_target_terms_weigh_the_same_however_many_items_they_have() -> None:
    names = [("few", 0), *(("many", number) for number in range(9))]
    items = [
        Association("intrasentence", "c", name, "", f"{name} s{n}", f"{name} a{n}", f"{name} u{n}", "f:1")
        for name, n in names
    ]
    audit = Associations(items, {}, 0)

    def handler(request: Request) -> Response:
        assert isinstance(request, Score)
        wins = request.continuation.startswith(("few s", "many a"))
        return Likelihood(-1.0 if wins else -2.0, 1, greedy=False)

    engine = FakeEngine(handler)
    samples = Execution(engine, lambda _: engine, lambda _, __: None).answer(audit.requests())
    assert audit.measure(samples).estimates["ss"].value == 50


def test_an_ending_of_the_second_sort_is_scored_after_its_context() -> None:
    asked = [request for request in Associations(ITEMS, {}, 0).requests() if request.context]
    assert asked[0].context == "Here is 0."
    assert asked[0].continuation == " The 0 was stereo 0."
    assert {request.factors["part"] for request in asked} == {"intersentence"}


def test_few_target_terms_give_no_interval_of_the_combined_score() -> None:
    audit = Associations(ITEMS, {}, 0)
    assert audit.sizes["icat.kind0"].bootstrapped
    found = audit.measure(answered(audit, {"stereo": -1.0, "opposite": -2.0, "fox": -3.0})).estimates
    assert found["icat.kind0"].problem == "design: 16 clusters, a bootstrap interval needs 30: add clusters"
    assert found["icat"].problem is not None
    assert found["icat"].problem.startswith("the score is the same without any one target term")


@given(Percents, Percents)
def test_the_combined_score_is_ideal_only_at_full_sense_and_no_preference(lms: list[float], ss: list[float]) -> None:
    size = min(len(lms), len(ss))
    found = icat(np.array(lms[:size]), np.array(ss[:size]))
    assert ((found >= 0) & (found <= 100)).all()
    assert icat(np.array([100.0]), np.array([50.0])) == 100


def test_the_interval_of_the_combined_score_covers_it() -> None:
    rng = np.random.default_rng(0)
    truth, covered = 90 * min(60, 40) / 50, 0
    for _ in range(40):
        lms, ss = rng.normal(90, 5, 60), rng.normal(60, 15, 60)
        interval = icat_interval(lms, ss, 0)
        assert interval is not None
        covered += interval.low <= truth <= interval.high
    assert covered >= 32
    assert icat_interval(rng.normal(90, 5, 29), rng.normal(60, 15, 29), 0) is None


@pytest.mark.parametrize(
    ("lms", "ss"),
    [
        (np.full(40, 90.0), np.full(40, 50.0)),
        (np.linspace(50, 100, 40), np.full(40, 100.0)),
        (np.zeros(40), np.linspace(0, 100, 40)),
        (np.full(40, 90.0), np.repeat([0.0, 100.0], 20)),
    ],
)
def test_a_combined_score_that_no_term_moves_is_no_certainty(lms: np.ndarray, ss: np.ndarray) -> None:
    assert icat_interval(lms, ss, 0) is None


def test_without_answers_everything_is_nan() -> None:
    audit = Associations(ITEMS, {}, 0)
    engine = FakeEngine(lambda _: Failure("out of memory"))
    samples = Execution(engine, lambda _: engine, lambda _, __: None).answer(audit.requests())
    found = audit.measure(samples).estimates
    assert all(math.isnan(each.value) and each.problem for each in found.values())
