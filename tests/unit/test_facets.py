"""Facets of a metric and the worst of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmaudit.audit import Metric
from llmaudit.facets import absent, declared, exact, faceted, mean, once, proportion, ratio
from llmaudit.stats import Limit, judge, ratio_interval
from llmaudit.types import Verdict

HARM = Metric("harm", "nats", "lower")
SIZES = np.array([10.0, 12, 9, 11, 10, 8, 14, 10, 9, 12])
SUMS = SIZES * np.array([0.1, 0.2, 0.1, 0.3, 0.2, 0.1, 0.2, 0.4, 0.1, 0.2])


def test_the_bare_metric_is_the_worst_variant_and_is_declared_so() -> None:
    variants = {"a": ratio(SUMS, SIZES, 2), "b": ratio(2 * SUMS, SIZES, 2)}
    found = faceted("harm", HARM, variants)
    assert list(found) == list(declared("harm", HARM, ["a", "b"])) == ["harm", "harm.a", "harm.b"]
    assert found["harm"].value == found["harm.b"].value == pytest.approx(2 * found["harm.a"].value)
    own, bare = found["harm.b"].interval, found["harm"].interval
    assert own is not None
    assert bare is not None
    assert own == ratio_interval(2 * SUMS, SIZES, 0.9)
    assert bare.level == 0.9
    assert bare.high > own.high
    assert bare.method == "worst of facets, simultaneous Fieller on cluster sums (Bonferroni over 2)"


def test_of_one_variant_the_worst_is_itself() -> None:
    found = faceted("harm", HARM, {"a": ratio(SUMS, SIZES, 1)})
    assert (found["harm"].value, found["harm"].clusters) == (found["harm.a"].value, 10)
    own, bare = found["harm.a"].interval, found["harm"].interval
    assert own is not None
    assert bare is not None
    assert (bare.low, bare.high) == (own.low, own.high)


def test_what_stands_beside_the_variants_is_not_the_worst_of_them() -> None:
    found = faceted("harm", HARM, {"a": exact(1.0, 3)}, {"reference": exact(9.0, 3)})
    assert found["harm"].value == 1.0
    assert found["harm.reference"].value == 9.0


def test_a_signed_metric_is_worst_where_it_is_largest() -> None:
    signed = Metric("change", "nats", "zero")
    found = faceted("change", signed, {"a": ratio(SUMS, SIZES, 2), "b": ratio(-2 * SUMS, SIZES, 2)})
    assert found["change"].value == pytest.approx(-found["change.b"].value)
    assert (found["change"].better, found["change.b"].better) == ("lower", "zero")
    assert declared("change", signed, ["a"])["change"].better == "lower"


def test_a_variant_that_cannot_be_had_may_be_the_worst() -> None:
    found = faceted("harm", HARM, {"a": ratio(SUMS, SIZES, 2), "b": absent("needs a package")})
    assert math.isnan(found["harm.b"].value)
    assert judge(found["harm.a"], Limit(max=1)).verdict is Verdict.PASS
    assert judge(found["harm.b"], Limit(max=1)).reason == "needs a package"
    assert judge(found["harm"], Limit(max=1)).reason == "b: needs a package"
    assert found["harm"].value == found["harm.a"].value


def test_a_transform_rises_with_its_interval() -> None:
    plain, raised = ratio(SUMS, SIZES, 1), ratio(SUMS, SIZES, 1, math.exp)
    assert plain.own is not None
    assert raised.own is not None
    assert raised.value == pytest.approx(math.exp(plain.value))
    assert raised.own.low == pytest.approx(math.exp(plain.own.low))
    assert raised.own.high == pytest.approx(math.exp(plain.own.high))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_is_always_the_same_is_not_certain(share: float) -> None:
    found = ratio(share * SIZES, SIZES, 1, share=True)
    assert found.own is not None
    assert (found.own.low, found.own.high) != (share, share)
    # The rule of three, at 95 % on one side: 3 of the 105 tokens.
    assert found.own.high - found.own.low == pytest.approx(1 - 0.05 ** (1 / 105), rel=1e-6)


def test_items_without_a_flip_bound_the_share_of_flips() -> None:
    found = proportion(np.zeros(64), 64, 1)
    assert found.own is not None
    assert found.own.low == 0
    assert found.own.high == pytest.approx(1 - 0.05 ** (1 / 64))


def test_a_mean_over_prompts() -> None:
    found = mean(np.array([1.0, 2, 3, 4]), 1)
    assert (found.value, found.n) == (2.5, 4)
    assert math.isnan(mean(np.array([]), 1).value)


def test_what_was_measured_once_cannot_be_judged() -> None:
    found = faceted("harm", HARM, {"a": once(2.0, "no benchmark")})
    assert judge(found["harm.a"], Limit(max=3)).reason == "no benchmark"
