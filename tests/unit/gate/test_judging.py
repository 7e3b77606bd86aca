"""A finished audit against a baseline: the paired difference, and what is made of it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from llmaudit.gate import Gate
from llmaudit.records import ScorerRecord
from llmaudit.stats import mde, t_interval
from llmaudit.types import Better, Estimate, ModelInfo
from tests.unit.gate.runs import MODEL, against, audit, estimate, run

RNG = np.random.default_rng(3)
BEFORE = list(RNG.normal(5, 1, 20))
NOISE = RNG.normal(0, 0.1, 20)


def shifted(by: float) -> list[float]:
    return [float(value + by + noise) for value, noise in zip(BEFORE, NOISE, strict=True)]


@pytest.mark.parametrize(
    ("better", "shift", "verdict"),
    [
        ("lower", 2.0, "worse"),
        ("lower", 0.0, "equivalent"),
        ("lower", 0.5, "equivalent"),
        ("lower", 1.0, "inconclusive"),
        ("lower", -0.5, "better"),
        ("higher", -2.0, "worse"),
        ("higher", 0.0, "equivalent"),
        ("higher", -1.0, "inconclusive"),
        ("higher", 0.5, "better"),
        ("zero", 2.0, "worse"),
        ("zero", -2.0, "better"),  # from 5 to 3: nearer to zero
        ("zero", 0.5, "equivalent"),
        ("zero", -0.5, "equivalent"),
        ("zero", 1.0, "inconclusive"),
    ],
)
def test_the_verdict_is_that_of_the_interval_of_the_difference(better: Better, shift: float, verdict: str) -> None:
    found = against({"m": BEFORE}, {"m": shifted(shift)}, better).judge("m", 1.0, "measured")
    assert found.verdict == verdict


def test_the_difference_is_paired_by_cluster() -> None:
    # Between clusters the values scatter ten times as much as the change does.
    found = against({"m": BEFORE}, {"m": shifted(0.3)}).judge("m", 1.0, "pass")
    expected = t_interval(0.3 + NOISE, 0.90)
    assert expected is not None
    assert found.difference == pytest.approx(0.3 + NOISE.mean())
    assert found.low == pytest.approx(expected.low)
    assert found.high == pytest.approx(expected.high)
    assert (found.clusters, found.absolute, found.level) == (20, "pass", 0.90)
    assert found.value == pytest.approx(np.mean(BEFORE))


def test_the_smallest_margin_is_the_minimum_detectable_effect_of_the_paired_differences() -> None:
    found = against({"m": BEFORE}, {"m": shifted(0)}).judge("m", 1.0, "pass")
    assert found.detectable == pytest.approx(mde(float(NOISE.std(ddof=1)), 20), rel=1e-6)
    signed = against({"m": BEFORE}, {"m": shifted(0)}, "zero").judge("m", 1.0, "pass")
    assert signed.detectable == pytest.approx(mde(float(NOISE.std(ddof=1)), 20, power=0.9), rel=1e-6)


def test_only_clusters_that_both_have_count() -> None:
    old, new = {f"c{number}": value for number, value in enumerate(BEFORE)}, shifted(0)
    gate = against({"m": BEFORE[:12]}, {"m": new})
    assert gate.judge("m", 1.0, "pass").clusters == 12
    assert len(old) == 20
    few = against({"m": BEFORE[:6]}, {"m": new}).judge("m", 1.0, "pass")
    assert (few.verdict, few.detectable) == ("inconclusive", None)
    assert "6 clusters" in few.reason


def test_a_share_is_taken_of_the_baseline() -> None:
    gate = against({"m": BEFORE}, {"m": shifted(0)})
    assert gate.judge("m", "10 %", "pass").margin == pytest.approx(0.1 * np.mean(BEFORE))
    nothing = against({"m": [0.0] * 12}, {"m": [0.0] * 12}).judge("m", "10 %", "pass")
    assert nothing.verdict == "inconclusive"
    assert "share of the baseline's value" in nothing.reason


def test_without_a_margin_the_difference_is_shown_and_not_judged() -> None:
    found = against({"m": BEFORE}, {"m": shifted(9)}).judge("m", None, "pass")
    assert found.verdict == "measured"
    assert found.difference == pytest.approx(9, abs=0.2)


@pytest.mark.parametrize(
    ("after", "verdict"), [(10.0, "better"), (12.0, "equivalent"), (13.0, "equivalent"), (13.1, "worse")]
)
def test_exact_numbers_are_judged_by_their_difference(after: float, verdict: str) -> None:
    old, new = (estimate("m", [], value=value, deterministic=True) for value in (12.0, after))
    found = Gate(run(audit(old)), "b", 0).against(audit(new), MODEL).judge("m", 1.0, "pass")
    assert (found.verdict, found.detectable) == (verdict, 0.0)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(1.0, 1.1, "equivalent"), (1.0, 1.1 + 1e-9, "worse"), (0.1 + 0.2, 0.3, "equivalent"), (0.3, 0.3, "equivalent")],
)
def test_rounding_makes_no_exact_number_worse_or_better(before: float, after: float, verdict: str) -> None:
    old, new = (estimate("m", [], value=value, deterministic=True) for value in (before, after))
    found = Gate(run(audit(old)), "b", 0).against(audit(new), MODEL).judge("m", 0.1, "pass")
    assert found.verdict == verdict


def test_a_total_that_equals_a_facet_by_chance_is_no_worst_facet() -> None:
    def failures(total: float, each: float) -> list[Estimate]:
        counts = {"failures": total, "failures.a": each, "failures.b": each, "failures.c": each}
        return [estimate(name, [], value=count, deterministic=True) for name, count in counts.items()]

    gate = Gate(run(audit(*failures(0, 0))), "b", 0).against(audit(*failures(3, 1)), MODEL)
    found = gate.judge("failures", 2.0, "pass")
    assert (found.verdict, found.difference) == ("worse", 3.0)


def test_clusters_that_are_no_parts_of_the_metric_judge_nothing() -> None:
    # The effect size of an association is a ratio; its clusters are terms of the numerator, on another scale.
    old, new = (estimate("m", values, value=1.4, interval=None) for values in (BEFORE, shifted(0)))
    found = Gate(run(audit(old)), "b", 0).against(audit(new), MODEL).judge("m", 1.0, "pass")
    assert found.verdict == "inconclusive"
    assert "no parts of a mean" in found.reason


def test_a_worst_facet_is_worse_where_any_facet_is_and_equivalent_where_all_are() -> None:
    before = {"gap": BEFORE, "gap.a": BEFORE, "gap.b": [value - 3 for value in BEFORE]}
    same = {"gap": shifted(0), "gap.a": shifted(0), "gap.b": [value - 3 for value in shifted(0)]}
    assert against(before, same).judge("gap", 1.0, "pass").verdict == "equivalent"
    hidden = {**same, "gap.b": [value - 1 for value in shifted(0)]}
    found = against(before, hidden).judge("gap", 1.0, "pass")
    # The worst facet is as it was; another one got worse by more than the margin, and is named.
    assert (found.verdict, found.reason[:3]) == ("worse", "b: ")
    mended = {name: [value - 3 for value in values] for name, values in same.items()}
    assert against(before, mended).judge("gap", 1.0, "pass").verdict == "better"
    half = {**same, "gap.b": [value - 6 for value in shifted(0)]}
    assert against(before, half).judge("gap", 1.0, "pass").verdict == "equivalent"


def test_the_worst_of_signed_facets_is_better_where_the_facet_came_nearer_to_zero() -> None:
    facets = {"gap.a-b": BEFORE, "gap.a-c": [value / 100 for value in BEFORE]}
    signed = [estimate(name, values, "zero") for name, values in facets.items()]
    bare = dataclasses.replace(signed[0], metric="gap", better="lower")
    nearer = [estimate("gap.a-b", shifted(-3), "zero"), signed[1]]
    found = Gate(run(audit(bare, *signed)), "b", 0)
    new = audit(dataclasses.replace(nearer[0], metric="gap", better="lower"), *nearer)
    assert found.against(new, MODEL).judge("gap", 1.0, "pass").verdict == "equivalent"  # a-c stayed where it was
    assert found.against(new, MODEL).judge("gap.a-b", 1.0, "pass").verdict == "better"


def test_what_cannot_be_judged_is_inconclusive_with_its_reason() -> None:
    broken = audit(estimate("m", BEFORE, problem="too many refusals"))
    found = Gate(run(audit(estimate("m", BEFORE))), "b", 0).against(broken, MODEL).judge("m", 1.0, "pass")
    assert (found.verdict, found.reason) == ("inconclusive", "too many refusals")
    missing = audit(estimate("m", [math.nan] * 12))
    found = Gate(run(audit(estimate("m", BEFORE))), "b", 0).against(missing, MODEL).judge("m", 1.0, "pass")
    assert (found.verdict, found.difference) == ("inconclusive", None)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (audit(id="s/other"), audit(estimate("m", BEFORE)), "no such audit"),
        (audit(), audit(estimate("m", BEFORE)), "no such metric"),
        (audit(estimate("m", BEFORE, unit="%")), audit(estimate("m", BEFORE)), "the baseline has it in %"),
        (
            audit(estimate("m", BEFORE), design={"samples": "9", "templates": "sha256:00"}),
            audit(estimate("m", BEFORE)),
            "not the same measurement: samples 9 there, 4 here",
        ),
        (
            audit(estimate("m", BEFORE), estimate("m.x", BEFORE)),
            audit(estimate("m", BEFORE), estimate("m.y", BEFORE)),
            "other facets",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(before: object, after: object, reason: str) -> None:
    found = Gate(run(before), "b", 0).against(after, MODEL).judge("m", 1.0, "pass")  # type: ignore[arg-type]
    # A margin that nothing was held against must not pass for one that was kept, unless that was asked for.
    assert (found.verdict, found.difference) == ("inconclusive", None)
    assert reason in found.reason
    assert Gate(run(before), "b", 0).against(after, MODEL).judge("m", None, "pass").verdict == "not compared"  # type: ignore[arg-type]


def test_what_is_lacking_is_not_compared_where_that_is_allowed() -> None:
    gate = Gate(run(audit()), "b", 0, allow_unlike=True).against(audit(estimate("m", BEFORE)), MODEL)
    assert gate.judge("m", 1.0, "pass").verdict == "not compared"


def test_another_scorer_version_is_another_scale_whatever_is_allowed() -> None:
    old = audit(estimate("m", BEFORE), scorers=(ScorerRecord("length", "0", "", "words"),))
    found = Gate(run(old), "b", 0, allow_unlike=True).against(audit(estimate("m", BEFORE)), MODEL)
    assert found.judge("m", 1.0, "pass").reason == "not on the same scale: scorer length 0 there, 1 here"


def test_what_is_unlike_is_marked_where_it_is_allowed() -> None:
    gate = Gate(run(audit(estimate("m", BEFORE)), seed=7), "b", 0, allow_unlike=True)
    found = gate.against(audit(estimate("m", shifted(0))), MODEL).judge("m", 1.0, "pass")
    assert (found.verdict, found.unlike) == ("equivalent", ("seed 7 there, 0 here",))
    assert gate.record().unlike == ("seed 7 there, 0 here",)


def test_what_is_counted_in_tokens_needs_the_same_tokenizer() -> None:
    old, new = (audit(estimate("m", BEFORE, unit="nats per token"), estimate("w", BEFORE)) for _ in range(2))
    other = Gate(run(old), "b", 0).against(new, ModelInfo("new", "new", "fake", tokenizer="bb"))
    assert other.judge("m", 1.0, "pass").verdict == "not compared"
    assert "another tokenizer" in other.judge("m", 1.0, "pass").reason
    assert other.judge("w", 1.0, "pass").verdict == "equivalent"
    assert Gate(run(old), "b", 0).against(new, MODEL).judge("m", 1.0, "pass").verdict == "equivalent"
