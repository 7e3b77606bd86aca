from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from llmaudit.performance.load import LoadParams, arrivals, prompt_of


def load(**keys: Any) -> LoadParams:
    return LoadParams.model_validate({"open": {"rate": 2.0}} | keys)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"open": None}, "either open or closed"),
        ({"closed": {"users": 2}}, "either open or closed"),
        ({"open": {"rate": 0.0}}, "greater than 0"),
        ({"open": {"rate": float("inf")}}, "finite"),
        ({"open": None, "closed": {"users": 0}}, "greater than or equal to 1"),
        ({"goodput": {}}, "names no target"),
        ({"goodput": {"ttft": -1.0}}, "greater than 0"),
        ({"repetitions": 0}, "greater than or equal to 1"),
        ({"requests": 0}, "greater than or equal to 1"),
        ({"usres": 1}, "Extra inputs"),
    ],
)
def test_a_load_that_cannot_be_is_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        load(**keys)


def test_arrivals_are_a_poisson_process() -> None:
    moments = arrivals(load(requests=20_000, seconds=1e9, open={"rate": 5.0}), seed=1, repetition=1)
    gaps = np.array([after - before for before, after in pairwise((0.0, *moments))])
    assert stats.kstest(gaps, stats.expon(scale=1 / 5).cdf).pvalue > 0.01
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.02


def test_arrivals_end_with_the_number_or_the_time() -> None:
    assert len(arrivals(load(requests=7, seconds=1e9), 0, 1)) == 7
    bounded = arrivals(load(requests=10_000, seconds=3.0), 0, 1)
    assert 0 < len(bounded) < 30
    assert bounded[-1] < 3.0
    assert bounded == arrivals(load(requests=10_000, seconds=1e9), 0, 1)[: len(bounded)]


def test_repetitions_differ_and_seeds_repeat_them() -> None:
    assert arrivals(load(), 0, 1) == arrivals(load(), 0, 1)
    assert len({arrivals(load(), seed, repetition) for seed in (0, 1) for repetition in (1, 2)}) == 4
    assert arrivals(load(open=None, closed={"users": 3}), 0, 1) == ()


def test_prompts_are_distinct_unless_they_need_not_be() -> None:
    prompts = ("a", "b")
    distinct = [prompt_of(prompts, load(), 0, repetition, number) for repetition in (1, 2) for number in range(50)]
    assert len(set(distinct)) == 100
    assert [text.partition("] ")[2] for text in distinct[:4]] == ["a", "b", "a", "b"]
    assert {prompt_of(prompts, load(distinct=False), 0, 1, number) for number in range(4)} == {"a", "b"}
