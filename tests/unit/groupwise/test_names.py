"""Names of one group as the measure of what a gap between groups is worth."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

from llmaudit.gaps import Scored, gap_estimates
from llmaudit.groupwise.answers import Answers
from llmaudit.groupwise.names import name_spread, name_table, with_names

NAMES = {"a": ["Ann", "Amy", "Ada", "Ava"], "b": ["Bob", "Ben", "Bill", "Bert"]}
EFFECTS = {"Ann": 0.9, "Amy": 0.1, "Ada": 0.3, "Ava": 0.4, "Bob": 0.2, "Ben": 0.1, "Bill": 0.35, "Bert": 0.0}


def scores(asked: Answers) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What the name gives, on top of what the template gives."""
    return np.array([EFFECTS[str(name)] + row for name, row in zip(asked.names, asked.cells.rows, strict=True)])


def test_a_name_is_held_against_its_own_templates(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda *_: "x", names=NAMES)
    spread = name_spread(scores(asked), asked, NAMES, 0)
    overall = np.mean(list(EFFECTS.values()))
    assert spread.effects["a"] == pytest.approx({name: EFFECTS[name] - overall for name in NAMES["a"]})
    assert spread.sd("b") == pytest.approx(np.std([EFFECTS[name] for name in NAMES["b"]], ddof=1))


def test_the_p_over_names_is_that_of_every_way_to_share_them_out(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda *_: "x", names=NAMES)
    every = np.array(list(EFFECTS.values()))
    gap = abs(every[:4].mean() - every[4:].mean())
    shares = [every[list(own)].mean() - np.delete(every, own).mean() for own in combinations(range(8), 4)]
    expected = np.mean(np.abs(shares) >= gap - 1e-12)
    assert name_spread(scores(asked), asked, NAMES, 0).p_value("a", "b") == pytest.approx(expected)


def test_the_spread_stands_in_the_details_of_the_gap_and_in_a_table(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda *_: "x", names=NAMES)
    values = scores(asked)
    spread = name_spread(values, asked, NAMES, 0)
    gaps = gap_estimates(Scored("s_gap", "points", values), asked.cells, seed=0, details={"own": 1.0})
    facet = with_names(gaps, "s_gap", spread)["s_gap.a-b"]
    assert facet.value == gaps["s_gap.a-b"].value
    assert facet.details["own"] == 1
    assert facet.details["p over names"] == spread.p_value("a", "b")
    assert facet.details["sd between names"] == pytest.approx(math.hypot(spread.sd("a"), spread.sd("b")) / math.sqrt(2))
    first, _, last = name_table({"s": spread}, gaps).rows
    assert first[:3] == ("s, among a", "Amy", "Ann")
    assert last[0] == "s, a minus b"
    assert last[4:] == (facet.value, facet.details["p over names"])


def test_names_without_an_answer_are_left_out(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda *_: "x", names=NAMES)
    values = scores(asked)
    values[[name == "Ann" for name in asked.names]] = np.nan
    spread = name_spread(values, asked, NAMES, 0)
    assert math.isnan(spread.effects["a"]["Ann"])
    assert spread.p_value("a", "b") is not None
    nothing = name_spread(np.full(len(values), np.nan), asked, NAMES, 0)
    assert nothing.p_value("a", "b") is None
    assert math.isnan(nothing.sd("a"))
    assert name_spread(np.zeros(len(values)), asked, NAMES, 0).p_value("a", "b") == 1
