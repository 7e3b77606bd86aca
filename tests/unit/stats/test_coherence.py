"""Signs that a text has come apart."""

from __future__ import annotations

import math

import pytest

from llmaudit.stats.coherence import main_script, repetition, script_drift, undecodable


def test_repetition_is_one_minus_unique_over_all_4_grams() -> None:
    assert repetition([1, 2, 3, 4, 5]) == 0
    # 1111, 1111, 1111: one of three is new.
    assert repetition([1] * 6) == pytest.approx(2 / 3)
    assert math.isnan(repetition([1, 2, 3]))


@pytest.mark.parametrize(
    ("text", "found"), [("plain", False), ("a\ufffd", True), ("a\u0378", True), ("日本 🙂", False)]
)
def test_undecodable_is_a_replacement_character_or_an_unassigned_code_point(text: str, found: bool) -> None:
    assert undecodable(text) is found


def test_scripts_are_told_by_the_names_of_letters() -> None:
    assert main_script("The word мир") == "LATIN"
    assert main_script("мир, труд") == "CYRILLIC"
    assert main_script("東京へ行く") == "CJK"
    assert main_script("1, 2, 3!") is None


def test_script_drift_is_the_share_of_letters_of_another_script() -> None:
    assert script_drift("abc мир", "LATIN") == pytest.approx(0.5)
    assert script_drift("東京へ", "CJK") == 0
    assert math.isnan(script_drift("...", "LATIN"))
