"""Token costs of the terms of groups, counted by hand."""

from __future__ import annotations

import math

import pytest

from llmaudit.stats import Limit, judge
from llmaudit.token_costs.metrics import term_metrics
from llmaudit.token_costs.terms import term_costs, term_estimates
from llmaudit.types import Estimate, Failure, Sample, Tokenize, Tokens


def costs(**groups: list[int | None]) -> dict[str, Estimate]:
    """Estimates of groups whose terms have so many tokens, None for a term that could not be tokenized."""
    samples = [
        Sample(
            Tokenize(f" {group}{number}", f"{group}{number}", {"language": "terms", "list": "terms", "group": group}),
            Failure("no") if size is None else Tokens(tuple(range(size)), ("x",) * size, (), 0, 0, ""),
        )
        for group, sizes in groups.items()
        for number, size in enumerate(sizes)
    ]
    return term_estimates(term_costs(list(groups), samples), term_metrics(list(groups)))


def test_means_and_their_differences() -> None:
    found = costs(a=[1, 1, 2, 4], b=[1, 1, 1, 1], c=[1, 2])
    values = {name: estimate.value for name, estimate in found.items()}
    assert values["term_cost.a"] == values["term_cost"] == 2
    assert values["term_cost_gap.a-b"] == values["exact_term_cost_gap.a-b"] == 1
    assert values["term_cost_gap.b-c"] == -0.5
    assert values["term_cost_gap"] == values["exact_term_cost_gap"] == 1
    assert set(found) == set(term_metrics(["a", "b", "c"]))


def test_one_difference_is_of_these_terms_and_the_other_of_terms_like_them() -> None:
    found = costs(a=[2] * 12, b=[1] * 12)
    assert judge(found["exact_term_cost_gap"], Limit(max=1)).verdict.value == "pass"
    assert judge(found["term_cost_gap"], Limit(max=1)).verdict.value == "inconclusive"
    assert judge(found["term_cost_gap"], Limit(max=2)).verdict.value == "pass"
    assert judge(found["term_cost_gap.a-b"], Limit(max=0.1)).verdict.value == "fail"


def test_names_that_are_all_single_tokens_do_not_promise_that_the_next_one_is() -> None:
    # Of 24 names without an exception, up to 11.7 % may be exceptions: 1 - 0.05^(1/24), for either group.
    interval = costs(a=[1] * 24, b=[1] * 24)["term_cost_gap.a-b"].interval
    assert interval is not None
    assert interval.high == -interval.low
    assert 0.117 < interval.high < 0.117 * 2
    fewer = costs(a=[1] * 12, b=[1] * 12)["term_cost_gap.a-b"].interval
    assert fewer is not None
    assert fewer.high > interval.high


def test_more_groups_make_the_worst_difference_less_certain() -> None:
    two, three = costs(a=[1, 2] * 6, b=[1] * 12), costs(a=[1, 2] * 6, b=[1] * 12, c=[1] * 12)
    narrow, wide = two["term_cost_gap"].interval, three["term_cost_gap"].interval
    assert narrow is not None
    assert wide is not None
    assert narrow.high < wide.high
    assert "Bonferroni over 3" in wide.method


def test_a_few_terms_decide_nothing_for_others_like_them() -> None:
    found = costs(a=[1] * 20, b=[3] * 4)
    assert judge(found["term_cost_gap"], Limit(max=1)).verdict.value == "inconclusive"
    assert judge(found["exact_term_cost_gap"], Limit(max=1)).verdict.value == "fail"


def test_terms_that_could_not_be_tokenized_are_missing_and_never_pass() -> None:
    found = costs(a=[1] * 11 + [None], b=[1] * 12)
    assert (found["term_cost.a"].n, found["term_cost.a"].missing) == (11, 1)
    assert found["term_cost_gap"].problem is None
    assert found["exact_term_cost_gap"].problem == "1 of 24 terms could not be tokenized"
    many = costs(a=[1] * 9 + [None] * 3, b=[1] * 12)
    assert many["term_cost_gap"].problem == "term_cost_gap.a-b: 3 of 24 terms could not be tokenized"


def test_nothing_tokenized_is_no_number() -> None:
    found = costs(a=[None] * 3, b=[1] * 3)
    assert math.isnan(found["term_cost.a"].value)
    assert math.isnan(found["term_cost_gap"].value)
    assert judge(found["term_cost_gap"], Limit(max=9)).verdict.value == "inconclusive"
    assert found["term_cost"].value == pytest.approx(1)
