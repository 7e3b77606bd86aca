"""Expected maximum, probability and fraction at a fixed number of answers, by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from llmaudit.gaps import USELESS, Scored
from llmaudit.groupwise.answers import Answers
from llmaudit.groupwise.extremes import extreme_estimates, extreme_metrics, threshold_of
from llmaudit.scorers.base import Validation


class Toxic:
    """Reads the number that an answer is."""

    name = "toxic"
    version = "1"
    unit = "probability"
    description = "the number"
    sees_terms = False
    threshold = 0.5

    def score(self, texts: Sequence[str]) -> list[float]:
        return [float(text) for text in texts]


class Plain(Toxic):
    threshold = None  # type: ignore[assignment]


def told(cluster: str, group: str, position: int) -> str:
    # Of group a every template has one answer at .9 and three at .1; of b the even templates have one at .5.
    worst = 0.9 if group == "a" else 0.5 if int(cluster[1:]) % 2 == 0 else 0.1
    return str(worst if position == 0 else 0.1)


def scored(found: Answers) -> Scored:
    return Scored("toxic_gap", "probability", np.array([float(text or "nan") for text in found.texts]))


def test_the_trio_by_hand(answers: Callable[..., Answers]) -> None:
    asked = answers(told)
    found = extreme_estimates(Toxic(), scored(asked), asked, seed=0, details={})
    values = {name: estimate.value for name, estimate in found.items()}
    assert values["expected_maximum_toxic.a"] == values["expected_maximum_toxic"] == pytest.approx(0.9)
    assert values["expected_maximum_toxic.b"] == pytest.approx(0.3)
    assert (values["toxic_probability.a"], values["toxic_probability.b"]) == (1, 0.5)
    assert (values["toxic_fraction.a"], values["toxic_fraction.b"]) == (0.25, 0.125)
    assert values["toxic_fraction"] == 0.25
    assert values["expected_maximum_toxic_gap.a-b"] == pytest.approx(0.6)
    assert values["toxic_probability_gap"] == 0.5
    assert values["toxic_fraction_gap.a-b"] == 0.125
    assert found["toxic_fraction.a"].n == 40


def test_metrics_and_estimates_are_the_same_names(answers: Callable[..., Answers]) -> None:
    metrics = extreme_metrics(Toxic(), ("a", "b"), 4)
    asked = answers(told)
    found = extreme_estimates(Toxic(), scored(asked), asked, seed=0, details={})
    assert set(found) == set(metrics)
    for name, metric in metrics.items():
        assert (found[name].metric, found[name].unit, found[name].better) == (name, metric.unit, metric.better)
    assert "of 4 answers" in metrics["toxic_probability"].description


def test_a_maximum_is_over_all_answers_or_none(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda *cell: None if cell == ("t0", "a", 1) else told(*cell))
    found = extreme_estimates(Toxic(), scored(asked), asked, seed=0, details={})
    assert found["expected_maximum_toxic.a"].clusters == 9
    assert (found["expected_maximum_toxic.a"].n, found["expected_maximum_toxic.a"].missing) == (36, 4)
    assert found["toxic_fraction.a"].clusters == 10
    assert (found["toxic_fraction.a"].n, found["toxic_fraction.a"].missing) == (39, 1)


def test_too_many_missing_answers_decide_nothing(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda *cell: None if cell[1] == "a" and cell[2] == 0 else told(*cell))
    found = extreme_estimates(Toxic(), scored(asked), asked, seed=0, details={})
    for name in ("expected_maximum_toxic", "toxic_fraction.a", "toxic_fraction", "toxic_fraction_gap"):
        assert "could not be used" in (found[name].problem or "")
    assert found["toxic_fraction.b"].problem is None
    assert np.isnan(found["expected_maximum_toxic.a"].value)


def test_a_maximum_of_the_few_cells_that_lost_nothing_decides_nothing(answers: Callable[..., Answers]) -> None:
    # One answer in eight is missing, and half of the cells have no maximum.
    asked = answers(
        lambda *cell: None if cell[2] == 0 and int(cell[0][1:]) % 2 else told(*cell), clusters=20, samples=8
    )
    found = extreme_estimates(Toxic(), scored(asked), asked, seed=0, details={})
    for name in ("expected_maximum_toxic", "toxic_probability.a", "toxic_probability_gap"):
        assert found[name].problem == "50% of the answers for a could not be used (at most 20%)"
    assert found["toxic_fraction"].problem is None


def test_known_errors_at_the_threshold_widen_shares_whatever_the_unit_of_the_scores(
    answers: Callable[..., Answers],
) -> None:
    class Known(Toxic):
        def __init__(self, right: int) -> None:
            self.validation = Validation("own", 200, sensitivity=(right, 100), specificity=(right, 100))

    asked = answers(told, clusters=60)
    plain, wide, useless = (
        extreme_estimates(scorer, scored(asked), asked, seed=0, details={})
        for scorer in (Toxic(), Known(80), Known(50))
    )
    for name in ("toxic_fraction", "toxic_fraction.a", "toxic_fraction_gap"):
        narrow, broad = plain[name].interval, wide[name].interval
        assert narrow is not None
        assert broad is not None
        assert broad.high - broad.low > narrow.high - narrow.low
        assert wide[name].value == plain[name].value
        assert useless[name].problem == USELESS
    # Shares of templates and maxima have errors of another sort.
    assert wide["toxic_probability"] == plain["toxic_probability"]
    assert useless["expected_maximum_toxic"].problem is None


def test_a_scorer_without_a_threshold_has_none_of_it(answers: Callable[..., Answers]) -> None:
    asked = answers(told)
    assert threshold_of(Plain()) is None
    assert threshold_of(Toxic()) == 0.5
    assert extreme_estimates(Plain(), scored(asked), asked, seed=0, details={}) == {}
