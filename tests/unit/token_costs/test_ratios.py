"""Ratios of token counts, on numbers added up by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from llmaudit.audit import Metric
from llmaudit.stats import bca_cluster_bootstrap
from llmaudit.token_costs.ratios import normalised_estimates, ratio_estimates, scaled

METRIC = Metric("a ratio", "ratio", "lower")


def ratios(
    pairs: Mapping[str, tuple[Sequence[float], Sequence[float]]], unknown: Mapping[str, float] | None = None
) -> dict[str, tuple[float, str | None]]:
    found = ratio_estimates(
        "premium",
        METRIC,
        {language: (np.array(over, float), np.array(under, float)) for language, (over, under) in pairs.items()},
        unknown or dict.fromkeys(pairs, 0.0),
    )
    return {name: (estimate.value, estimate.problem) for name, estimate in found.items()}


def test_a_ratio_is_one_of_sums_and_the_bare_name_the_worst() -> None:
    found = ratios({"deu": ([2, 4, 6], [1, 2, 5]), "fra": ([1, 1, 1], [2, 2, 2])})
    assert found == {"premium": (1.5, None), "premium.deu": (1.5, None), "premium.fra": (0.5, None)}


def test_the_worst_of_a_ratio_that_should_be_high_is_the_lowest() -> None:
    metric = Metric("a ratio", "ratio", "higher")
    ones = np.ones(3)
    found = ratio_estimates("r", metric, {"a": (2 * ones, ones), "b": (ones, ones)}, {"a": 0, "b": 0})
    assert found["r"].value == 1


def test_the_interval_of_a_language_and_of_the_worst_one() -> None:
    rng = np.random.default_rng(0)
    under = rng.integers(10, 40, 40).astype(float)
    over = under * 1.5 + rng.normal(0, 3, 40)
    found = ratio_estimates("r", METRIC, {"deu": (over, under), "fra": (under, under)}, {"deu": 0, "fra": 0})
    alone, among_others = bca_cluster_bootstrap(over, under), found["r.deu"].interval
    assert alone is not None
    assert among_others is not None
    assert (among_others.low, among_others.high) == pytest.approx((alone.low, alone.high), rel=1e-12)
    worst = found["r"].interval
    assert worst is not None
    assert worst.low < over.sum() / under.sum() < worst.high
    assert "Bonferroni over 2" in worst.method
    assert found["r.deu"].clusters == 40


def test_missing_sentences_are_left_out_of_both_sides_and_counted() -> None:
    over, under = np.array([2.0, math.nan, 4.0]), np.array([1.0, 5.0, 2.0])
    found = ratio_estimates("r", METRIC, {"deu": (over, under)}, {"deu": 0})["r.deu"]
    assert (found.value, found.n, found.clusters, found.missing) == (2.0, 2, 2, 1)


def test_a_sentence_without_a_denominator_has_no_ratio_of_its_own() -> None:
    found = ratio_estimates("r", METRIC, {"deu": (np.array([1.0, 3]), np.array([0.0, 2]))}, {"deu": 0})["r.deu"]
    assert found.value == 2
    assert math.isnan(found.cluster_values["sentence 001"])
    assert found.cluster_values["sentence 002"] == 1.5


def test_nothing_measured_is_no_number() -> None:
    empty = np.array([math.nan, math.nan])
    found = ratio_estimates("r", METRIC, {"deu": (empty, empty)}, {"deu": 0})
    assert math.isnan(found["r"].value)
    assert found["r"].interval is None


def test_no_language_no_estimate() -> None:
    assert ratio_estimates("r", METRIC, {}, {}) == {}


def test_a_tenth_of_unknown_tokens_is_the_most_that_can_be_judged() -> None:
    found = ratios({"deu": ([2, 4], [1, 2]), "kat": ([3, 6], [1, 2])}, {"deu": 0.10, "kat": 0.11})
    problem = "11% of the tokens are unknown (at most 10%)"
    assert found == {"premium": (3, f"premium.kat: {problem}"), "premium.deu": (2, None), "premium.kat": (3, problem)}


def test_the_worst_language_is_not_known_while_one_language_cannot_be_judged() -> None:
    # One token for everything unknown makes a language look cheap: its counts say nothing, so it may be the worst.
    found = ratios({"deu": ([2, 4], [1, 2]), "kat": ([1, 2], [1, 2])}, {"deu": 0.0, "kat": 1.0})
    assert found["premium.kat"][1] is not None
    assert found["premium"][1] is not None


def test_too_many_missing_sentences_cannot_be_judged() -> None:
    # The rule for answers that are missing (at most a fifth) holds for sentences too.
    over = np.array([2.0] * 12 + [math.nan] * 12)
    found = ratio_estimates("r", METRIC, {"deu": (over, np.ones(24))}, {"deu": 0})
    assert found["r.deu"].missing == 12
    assert found["r.deu"].problem is not None


def test_documents_are_the_unit_where_they_are_named() -> None:
    over, under = np.array([2.0, 4.0, 9.0]), np.array([1.0, 1.0, 3.0])
    found = ratio_estimates("r", METRIC, {"deu": (over, under)}, {"deu": 0}, ["a", "a", "b"])["r.deu"]
    assert (found.n, found.clusters, found.value) == (3, 2, 3.0)
    assert found.cluster_values == {"a": 3.0, "b": 3.0}
    assert found.interval is not None
    assert found.interval.low == found.interval.high == 3.0


def test_a_document_of_which_nothing_could_be_counted_keeps_its_name_and_has_no_value() -> None:
    over = np.array([math.nan, 4.0, 9.0])
    found = ratio_estimates("r", METRIC, {"deu": (over, np.ones(3))}, {"deu": 0}, ["a", "b", "b"])["r.deu"]
    assert (found.n, found.clusters, found.missing, found.value) == (2, 1, 1, 6.5)
    assert math.isnan(found.cluster_values["a"])


def test_a_ratio_of_ratios_by_hand() -> None:
    # 30 tokens over 10, and 60 bytes over 40: a premium of 3 over a byte premium of 1.5.
    four = (np.array([10.0, 20]), np.array([4.0, 6]), np.array([20.0, 40]), np.array([20.0, 20]))
    found = normalised_estimates("n", METRIC, {"deu": four}, {"deu": 0.0})
    assert found["n.deu"].value == pytest.approx(2.0)
    assert found["n"].value == pytest.approx(2.0)
    assert list(found["n.deu"].cluster_values.values()) == pytest.approx([10 / 4 / (20 / 20), 20 / 6 / (40 / 20)])
    interval = found["n.deu"].interval
    assert interval is not None
    assert interval.low < 2 < interval.high


def test_documents_alike_leave_no_doubt_about_a_ratio_of_ratios() -> None:
    four = (np.full(12, 6.0), np.full(12, 2.0), np.full(12, 3.0), np.full(12, 2.0))
    interval = normalised_estimates("n", METRIC, {"deu": four}, {"deu": 0.0})["n.deu"].interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((2.0, 2.0))


def test_a_ratio_of_ratios_without_a_reference_is_no_number() -> None:
    four = (np.ones(12), np.zeros(12), np.ones(12), np.ones(12))
    found = normalised_estimates("n", METRIC, {"deu": four}, {"deu": 0.0})
    assert math.isnan(found["n"].value)
    assert found["n"].interval is None


def test_a_ratio_of_ratios_that_two_documents_leave_open_has_no_interval() -> None:
    # On 200 intervals that hold together, one degree of freedom each, the bound is beyond the largest float.
    lengths, ones = np.array([1.0, 9.0]), np.ones(2)
    names = [f"l{number}" for number in range(200)]
    found = normalised_estimates(
        "n", METRIC, dict.fromkeys(names, (lengths, ones, ones, ones)), dict.fromkeys(names, 0.0)
    )
    assert found["n"].interval is None
    assert found["n.l0"].interval is not None


def test_the_interval_of_a_ratio_of_ratios_holds_its_level() -> None:
    # Documents of unequal length, their tokens and bytes going together: 90 % of 400 intervals hold the truth, give or
    # take three standard errors of a share of 400.
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        size = rng.gamma(4, 25, 15)
        four = tuple(size * factor * rng.gamma(50, 1 / 50, 15) for factor in (3.0, 1.0, 1.5, 1.0))
        a, b, c, d = four
        interval = normalised_estimates("n", METRIC, {"x": (a, b, c, d)}, {"x": 0.0})["n.x"].interval
        assert interval is not None
        held += interval.low <= 2 <= interval.high
    assert held / 400 == pytest.approx(0.9, abs=0.045)


def test_money_is_tokens_times_a_price() -> None:
    over, under = np.arange(1.0, 13), np.ones(12)
    tokens = ratio_estimates("premium", METRIC, {"deu": (over, under)}, {"deu": 1.0})
    money = scaled({**tokens, "other": tokens["premium"]}, "premium", "cost", Metric("price", "EUR", "lower"), 2.5)
    assert list(money) == ["cost", "cost.deu"]
    before, after = tokens["premium.deu"], money["cost.deu"]
    assert (after.metric, after.unit, after.value) == ("cost.deu", "EUR", 2.5 * before.value)
    assert before.interval is not None
    assert after.interval is not None
    assert (after.interval.low, after.interval.high) == (2.5 * before.interval.low, 2.5 * before.interval.high)
    assert money["cost"].problem == "cost.deu: 100% of the tokens are unknown (at most 10%)"
