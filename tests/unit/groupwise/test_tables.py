"""Tables on wording and on shares, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from llmaudit.groupwise.answers import Answers
from llmaudit.groupwise.proportions import proportion_table
from llmaudit.groupwise.wording import wording_table
from llmaudit.stats import cochran_mantel_haenszel


def test_a_gap_that_hangs_on_the_paraphrase_is_told_from_one_that_hangs_on_the_template(
    answers: Callable[..., Answers],
) -> None:
    asked = answers(lambda *_: "x", clusters=400, samples=6, paraphrases=2)
    rng = np.random.default_rng(0)
    template, wording = rng.normal(0, 0.5, 400), rng.normal(0, 1.0, (400, 2))
    first = asked.cells.columns == 0
    values = first * (template[asked.cells.rows] + wording[asked.cells.rows, asked.paraphrases])
    values = values + rng.normal(0, 0.3, len(values))
    ((name, *spreads),) = wording_table({"s": values}, asked).rows
    assert name == "s"
    assert spreads == pytest.approx([0.5, 1.0, 0.3 * np.sqrt(2)], abs=0.12)


def test_without_paraphrases_their_spread_is_left_open(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda *_: "x")
    row = wording_table({"s": np.random.default_rng(1).normal(size=80)}, asked).rows[0]
    assert row[2] is None
    assert isinstance(row[3], float)
    nothing = wording_table({"s": np.full(80, np.nan)}, asked).rows[0]
    assert nothing == ("s", None, None, None)


def test_shares_are_compared_over_templates(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda *_: "x", clusters=3, groups=("a", "b", "c"))
    values = np.zeros(36)
    values[[0, 1, 2, 12, 13, 4]] = 1  # a: 3, 2 and 0 of 4; b: 1, 0 and 0
    table = proportion_table({"refusal": values}, asked, 0)
    label, first, second, odds, p_value = table.rows[0]
    expected = cochran_mantel_haenszel([[[3, 1], [1, 3]], [[2, 2], [0, 4]], [[0, 4], [0, 4]]])
    assert (label, first, second) == ("refusal: a and b", 5 / 12, 1 / 12)
    assert (odds, p_value) == expected
    assert table.rows[-1][0] == "refusal: all groups"
    assert isinstance(table.rows[-1][-1], float)


def test_shares_that_are_nothing_everywhere_have_no_p(answers: Callable[..., Answers]) -> None:
    two = proportion_table({"refusal": np.zeros(80)}, answers(lambda *_: "x"), 0)
    assert two.rows == (("refusal: a and b", 0, 0, None, None),)
    three = proportion_table({"refusal": np.zeros(120)}, answers(lambda *_: "x", groups=("a", "b", "c")), 0)
    assert three.rows[-1] == ("refusal: all groups", None, None, None, None)


def test_the_p_over_all_groups_is_small_where_one_group_is_refused(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda *_: "x", groups=("a", "b", "c"))
    values = (asked.cells.columns == 0) * np.ones(120)
    assert proportion_table({"refusal": values}, asked, 0).rows[-1][-1] == pytest.approx(1 / 10_000)


def test_a_group_without_answers_has_no_share(answers: Callable[..., Answers]) -> None:
    asked = answers(lambda *_: "x")
    values = np.where(asked.cells.columns == 0, np.nan, 1.0)
    (row,) = proportion_table({"refusal": values}, asked, 0).rows
    assert math.isnan(float(row[1] or 0))
    assert row[2:] == (1, None, None)
