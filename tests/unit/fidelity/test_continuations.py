"""Where greedy continuations part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llmaudit.fidelity.continuations import (
    ContinuationParams,
    continuation_estimates,
    continuation_metrics,
    continuation_requests,
    parting,
)
from llmaudit.types import Generate

TOKENS = st.lists(st.integers(0, 3), max_size=8)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ((1, 2, 3), (1, 2, 3), 9),
        ((1, 2, 3), (1, 2, 4), 2),
        ((1, 2, 3), (4, 2, 3), 0),
        ((1, 2), (1, 2, 3), 2),
        ((), (), 9),
        ((), (1,), 0),
    ],
)
def test_parting_by_hand(one: tuple[int, ...], other: tuple[int, ...], shared: int) -> None:
    assert parting(one, other, 9) == shared


@given(TOKENS, TOKENS)
def test_parting_is_symmetric_and_bounded(one: list[int], other: list[int]) -> None:
    found = parting(one, other, 8)
    assert found == parting(other, one, 8)
    assert 0 <= found <= 8
    assert one[: min(found, len(one))] == other[: min(found, len(one))]


def test_prompts_are_continued_greedily() -> None:
    params = ContinuationParams(prompts=["Once", "Then"], max_new_tokens=5)
    first, _ = continuation_requests(params, "nf4")
    assert isinstance(first, Generate)
    assert (first.prompt, first.sampling.temperature, first.sampling.max_new_tokens) == ("Once", 0, 5)


def test_the_mean_over_prompts() -> None:
    params = ContinuationParams(prompts=["a", "b", "c", "d"], max_new_tokens=10)
    found = continuation_estimates(params, {"v": {"a": 10, "b": 2, "c": 6, "d": 10}, "w": "needs a package"})
    assert list(found) == list(continuation_metrics(["v", "w"]))
    assert found["first_divergence.v"].value == 7
    assert found["first_divergence.v"].details == {"share that never part": 0.5}
    assert found["first_divergence.w"].problem == "needs a package"


def test_prompts_without_a_continuation_are_missing() -> None:
    params = ContinuationParams(prompts=["a", "b", "c", "d"], max_new_tokens=10)
    found = continuation_estimates(params, {"v": {"a": 3, "b": 2}})["first_divergence.v"]
    assert (found.missing, found.problem) == (2, "2 of 4 prompts have no continuation")
    nothing = continuation_estimates(params, {"v": {}})["first_divergence.v"]
    assert nothing.problem == "4 of 4 prompts have no continuation"


def test_no_prompt_stands_twice() -> None:
    with pytest.raises(ValidationError, match="prompt 3 stands here twice"):
        ContinuationParams(prompts=["a", "b", "a"])
