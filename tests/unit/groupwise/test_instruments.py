"""Scorers as instruments: what they read, and how often they err."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from llmaudit.gaps import USELESS, Cells, Scored, gap_estimates
from llmaudit.groups import GroupParams
from llmaudit.groupwise.instruments import REACTION, Instrument, mask_of, with_reaction
from llmaudit.scorers.answers import Refusal
from llmaudit.scorers.base import Validation
from llmaudit.stats import Informedness, informedness

GROUPS = {"women": GroupParams(names=["Emily", "Anne", "Jill", "Sarah"]), "men": GroupParams(noun="men", terms=["man"])}


class Rude:
    """Counts the letter e, and says how well it does."""

    name = "rude"
    version = "1"
    unit = "proportion"
    description = "e"
    sees_terms = True

    def __init__(self, validation: Validation) -> None:
        self.validation = validation

    def score(self, texts: Sequence[str]) -> list[float]:
        return [float("e" in text) for text in texts]


def instrument(sensitivity: tuple[int, int] | None = (90, 100), unit: str = "proportion") -> Instrument:
    scorer = Rude(Validation("a set", 200, sensitivity=sensitivity, specificity=(90, 100)))
    scorer.unit = unit
    return Instrument(scorer, mask_of(GROUPS), Refusal())


def test_every_name_is_masked_and_every_name_is_in_the_reaction() -> None:
    assert mask_of(GROUPS).apply(["Emily met Sarah and a man"]) == ["people met people and a people"]
    shown = instrument().reactions(GROUPS, mask=False)
    assert list(shown) == ["women", "men"]
    assert instrument().reaction(GROUPS, mask=True) == 0
    assert instrument().reaction(GROUPS, mask=False) == pytest.approx(abs(shown["women"] - shown["men"]))


def test_refusals_and_missing_answers_have_no_score() -> None:
    found = instrument().score([None, "I cannot help with that.", "yes", "no"], mask=True)
    assert np.isnan(found).tolist() == [True, True, False, False]


def test_a_scorer_that_cannot_read_neutral_sentences_of_a_group_decides_nothing() -> None:
    class Picky(Rude):
        def score(self, texts: Sequence[str]) -> list[float]:
            return [math.nan if "Anne" in text or "Sarah" in text else 0.0 for text in texts]

    picky = Instrument(Picky(Validation("a set", 200)), mask_of(GROUPS), None)
    assert picky.reaction(GROUPS, mask=False) == 0  # Emily and Jill are read
    named = {"women": GroupParams(noun="Anne"), "men": GroupParams(noun="men")}
    cells = Cells.of(["t0", "t0"], ["women", "men"], ["women", "men"])
    reaction = picky.reaction(named, mask=False)
    (gap, _) = gap_estimates(Scored("gap", "x", np.zeros(2)), cells, seed=0, details={REACTION: reaction}).values()
    assert with_reaction(gap, 0.1).problem == "the scorer has no score for neutral sentences about a group"
    assert with_reaction(gap, None).problem is None


def test_errors_are_known_of_a_validated_scorer_that_says_yes_or_no() -> None:
    assert instrument().informedness == informedness((90, 100), (90, 100))
    assert instrument(None).informedness is None
    assert instrument(unit="points").informedness is None


def test_known_errors_widen_the_interval_and_leave_the_value() -> None:
    cells = Cells.of([f"t{n}" for n in range(12) for _ in "ab"], ["a", "b"] * 12, ["a", "b"])
    values = np.random.default_rng(0).integers(0, 2, 24).astype(float)
    plain, wide, useless = (
        gap_estimates(Scored("gap", "proportion", values, known), cells, seed=0, details={})
        for known in (None, Informedness(0.5, 0.1), Informedness(-0.1, 0.1))
    )
    for name in ("gap", "gap.a-b"):
        narrow, broad = plain[name].interval, wide[name].interval
        assert narrow is not None
        assert broad is not None
        assert broad.low <= narrow.low <= narrow.high < broad.high
        assert "widened for the scorer's errors" in broad.method
        assert wide[name].value == plain[name].value
        assert useless[name].problem == USELESS
