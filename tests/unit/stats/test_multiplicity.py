"""Adjusted p-values: never smaller, never reordered, over the declared family."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaudit.stats.multiplicity import benjamini_hochberg, holm

FAMILIES = st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1, max_size=12)


@settings(max_examples=30, deadline=None)  # statsmodels collects garbage in every call of Holm
@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
@given(family=FAMILIES)
def test_adjusting_raises_and_keeps_the_order(
    adjust: Callable[[dict[str, float]], dict[str, float]], family: dict[str, float]
) -> None:
    adjusted = adjust(family)
    assert list(adjusted) == list(family)
    assert all(family[name] <= adjusted[name] <= 1 for name in family)
    ranked = [adjusted[name] for name in sorted(family, key=family.__getitem__)]
    assert ranked == sorted(ranked)


@settings(max_examples=30, deadline=None)
@given(FAMILIES)
def test_holm_is_the_stricter(family: dict[str, float]) -> None:
    strict, screen = holm(family), benjamini_hochberg(family)
    assert all(strict[name] >= screen[name] - 1e-15 for name in family)


def test_a_missing_member_keeps_nan_and_counts() -> None:
    assert holm({"a": 0.01, "b": None, "c": math.nan})["a"] == pytest.approx(0.03)
    assert benjamini_hochberg({"a": 0.01, "b": None})["a"] == pytest.approx(0.02)
    assert math.isnan(holm({"a": 0.01, "b": None})["b"])
    assert math.isnan(holm({"only": math.nan})["only"])


def test_an_empty_family_has_no_members() -> None:
    assert holm({}) == {}
    assert benjamini_hochberg({}) == {}


@pytest.mark.parametrize("p", [-0.1, 1.1, math.inf])
def test_what_is_no_p_value_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm({"a": p})
