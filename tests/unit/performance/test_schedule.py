from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.performance.schedule import launch_order, pairs

ARMS = st.integers(1, 6).map(lambda count: [f"arm{number}" for number in range(count)])
EVEN = st.integers(1, 15).map(lambda half: 2 * half)
SEEDS = st.integers(0, 10_000)


@given(arms=ARMS, launches=st.integers(1, 31), seed=SEEDS)
def test_every_arm_is_launched_as_often_as_asked(arms: list[str], launches: int, seed: int) -> None:
    order = launch_order(arms, launches, seed)
    assert Counter(order) == dict.fromkeys(arms, launches)
    assert launch_order(arms, launches, seed) == order


@given(arms=ARMS, launches=EVEN, seed=SEEDS, drift=st.floats(-5, 5))
def test_a_linear_drift_adds_as_much_to_every_arm(arms: list[str], launches: int, seed: int, drift: float) -> None:
    order = launch_order(arms, launches, seed)
    means = [np.mean([drift * place for place, arm in enumerate(order) if arm == name]) for name in arms]
    assert means == pytest.approx([means[0]] * len(arms), abs=1e-9)


@given(arms=ARMS, launches=EVEN, seed=SEEDS)
def test_the_drift_cancels_in_every_block_alone(arms: list[str], launches: int, seed: int) -> None:
    order = launch_order(arms, launches, seed)
    width = 2 * len(arms)
    for start in range(0, len(order), width):
        block = order[start : start + width]
        assert block == block[::-1]
        assert Counter(block) == dict.fromkeys(arms, 2)


def test_two_arms_take_turns_as_abba_or_baab_and_neither_is_the_rule() -> None:
    blocks = Counter(
        "".join(launch_order(["A", "B"], 20, seed)[start : start + 4])
        for seed in range(20)
        for start in range(0, 40, 4)
    )
    assert set(blocks) == {"ABBA", "BAAB"}
    assert 70 <= blocks["ABBA"] <= 130


def test_an_odd_number_ends_with_each_arm_once() -> None:
    order = launch_order(["a", "b", "c"], 3, seed=1)
    assert sorted(order[6:]) == ["a", "b", "c"]


@given(launches=EVEN, seed=SEEDS)
def test_pairs_of_two_arms_are_neighbours_that_take_turns(launches: int, seed: int) -> None:
    found = pairs(launch_order(["A", "B"], launches, seed), "A", "B")
    assert len(found) == launches
    assert all(abs(first - second) == 1 for first, second in found)
    assert sum(first - second for first, second in found) == 0


@pytest.mark.parametrize(("arms", "launches"), [([], 2), (["a", "a"], 2), (["a"], 0)])
def test_what_is_no_experiment_is_refused(arms: list[str], launches: int) -> None:
    with pytest.raises(ValueError, match="expected arms with names of their own"):
        launch_order(arms, launches, seed=0)
