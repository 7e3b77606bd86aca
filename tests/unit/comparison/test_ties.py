"""Sets that cannot be told apart are complete, as large as can be, and named."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from llmaudit.comparison.ties import tied_sets, told_sets

PAIRS = st.sets(st.sampled_from([frozenset(pair) for pair in combinations(range(6), 2)]))


@settings(deadline=None)  # a busy machine is no bug
@given(PAIRS)
def test_the_sets_are_those_that_nothing_can_be_added_to(apart: set[frozenset[int]]) -> None:
    def tied(things: tuple[int, ...]) -> bool:
        return not any(frozenset(pair) in apart for pair in combinations(things, 2))

    every = [things for size in range(2, 7) for things in combinations(range(6), size) if tied(things)]
    largest = {things for things in every if not any(set(things) < set(other) for other in every)}
    assert set(tied_sets(range(6), apart)) == largest


@settings(deadline=None)  # a busy machine is no bug
@given(PAIRS)
def test_two_share_a_set_unless_they_are_told_apart(apart: set[frozenset[int]]) -> None:
    found = tied_sets(range(6), apart)
    for pair in combinations(range(6), 2):
        assert any(set(pair) <= set(each) for each in found) is (frozenset(pair) not in apart)


def test_many_ties_take_no_time() -> None:
    assert tied_sets(range(40), set()) == (tuple(range(40)),)


def test_words() -> None:
    assert told_sets([(0, 1, 2), (2, 3)], "abcd") == (
        "these three cannot be told apart: a, b, c; these two cannot be told apart: c, d"
    )
    assert told_sets([], "ab") == "all can be told apart"
