"""How an error is spent over looks."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaudit.stats.sequential import Spending, boundaries, crossing_probability, look_levels, spent

PLANS = st.sampled_from(get_args(Spending))


@given(PLANS, st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0.001, 0.2))
def test_more_information_never_spends_less(plan: Spending, one: float, other: float, alpha: float) -> None:
    less, more = sorted([one, other])
    assert 0 <= spent(plan, less, alpha) <= spent(plan, more, alpha) <= alpha * (1 + 1e-12)
    assert spent(plan, 1.0, alpha) == pytest.approx(alpha)


@settings(max_examples=20, deadline=None)
@given(PLANS, st.integers(1, 8), st.floats(0.005, 0.1))
def test_all_looks_together_spend_the_error_and_no_more(plan: Spending, looks: int, alpha: float) -> None:
    assert crossing_probability(boundaries(plan, looks, alpha)) == pytest.approx(alpha, rel=1e-6)
    levels = look_levels(plan, looks, alpha)
    assert all(0 < level <= alpha + 1e-9 for level in levels)


@pytest.mark.parametrize("plan", get_args(Spending))
def test_one_look_is_an_ordinary_test(plan: Spending) -> None:
    assert look_levels(plan, 1) == pytest.approx([0.05])


def test_early_looks_cost_little_by_one_plan_and_as_much_by_the_other() -> None:
    assert look_levels("obrien_fleming", 3)[0] < 0.001
    first, *_, last = look_levels("pocock", 3)
    assert first == pytest.approx(last, rel=0.1)


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (spent, ("haybittle", 0.5)),
        (spent, ("pocock", 0.0)),
        (spent, ("pocock", 0.5, 1.0)),
        (boundaries, ("pocock", 0)),
        (crossing_probability, ([],)),
    ],
)
def test_what_is_no_plan_is_refused(call: Any, arguments: Any) -> None:
    with pytest.raises(ValueError, match=r"plan|fraction|looks"):
        call(*arguments)
