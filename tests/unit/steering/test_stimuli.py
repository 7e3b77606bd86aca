"""Spellings of words, and the texts of a contrast."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmaudit.steering.design import Design
from llmaudit.steering.stimuli import Contrast, spellings_of


def test_a_word_is_spelt_after_a_space_and_at_the_start_small_and_capitalised() -> None:
    assert spellings_of("joy", "all") == (" joy", " Joy", "joy", "Joy")
    assert spellings_of("joy", "after_space") == (" joy", " Joy")
    assert spellings_of("Joy", "all") == (" Joy", "Joy")


@given(st.integers(1, 8))
def test_the_placebo_holds_every_pair_once_and_half_of_them_turned_round(half: int) -> None:
    size = 2 * half
    texts = Contrast(toward=[f"good {i}" for i in range(size)], away=[f"bad {i}" for i in range(size)], layer=2)
    mixed = texts.of("placebo")
    for side in (mixed.toward, mixed.away):
        assert [text.split()[1] for text in side] == [str(i) for i in range(size)]
        assert sum(text.startswith("good") for text in side) == half
    assert set(mixed.toward).isdisjoint(mixed.away)
    assert (texts.of("negative").toward, texts.of("negative").away) == (
        texts.of("positive").away,
        texts.of("positive").toward,
    )


def test_the_weights_of_a_slope_find_the_slope_of_a_line() -> None:
    design = Design((1.0, 3.0), 1.0, instructed=False)
    weights = design.slope_weights("positive")
    assert list(weights) == ["neutral", "positive-1", "positive-3"]
    line = {"neutral": 5.0, "positive-1": 7.0, "positive-3": 11.0}
    assert abs(sum(weights[name] * line[name] for name in weights) - 2) < 1e-12
