"""Planned power is achieved power, within 3 points: designs simulated through the estimators and the verdict."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmaudit.audit import drift_name
from llmaudit.drift import Drift
from llmaudit.gaps import Cells, Scored, gap_estimates
from llmaudit.stats import Limit, judge, t_interval
from llmaudit.stats.planned_power import PassRule, clusters_to_pass, pass_power
from llmaudit.types import Estimate, Verdict
from tests.unit.gate.runs import against

REPEATS = 1500
#: Where every repeat tests by permutation too.
FEWER = 500
POINTS = 0.03


def test_an_absolute_limit_on_a_level() -> None:
    # A mean over 24 prompts that are 0.3 apart, of 10 answers each of spread 1, below a limit of 0.5; in truth 0.3.
    rng = np.random.default_rng(1)
    columns = 0.3 + rng.normal(0, 0.3, (REPEATS, 24)) + rng.normal(0, 1 / math.sqrt(10), (REPEATS, 24))
    passed = 0
    for column in columns:
        estimate = Estimate("level", float(column.mean()), t_interval(column), "nats", "lower", 240, 24)
        passed += judge(estimate, Limit(max=0.5)).verdict is Verdict.PASS
    planned = pass_power(PassRule(Limit(max=0.5)), 0.3, math.sqrt(0.3**2 + 1 / 10), 24)
    assert planned == pytest.approx(passed / REPEATS, abs=POINTS)
    assert 0.5 < planned < 0.9


def test_a_margin_on_a_paired_difference() -> None:
    # The same 30 prompts asked of two models; what each prompt adds is common to both and cancels.
    rng = np.random.default_rng(2)
    passed = 0
    for _ in range(FEWER):
        level = rng.normal(0, 1, 30)
        models = [level + rng.normal(0, 0.5, 30) for _ in range(2)]
        before, after = ({"cost": of_clusters("cost", values)} for values in models)
        change = Drift("candidate", before, after, 0).estimates()[drift_name("candidate", "cost")]
        passed += judge(change, Limit(max=0.35)).verdict is Verdict.PASS
    planned = pass_power(PassRule(Limit(max=0.35)), 0.0, math.sqrt(2) * 0.5, 30)
    assert planned == pytest.approx(passed / FEWER, abs=POINTS)
    assert 0.5 < planned < 0.95


def test_the_worst_gap_between_shares_of_two_groups() -> None:
    # 40 templates, 25 answers per group, of which 30 % refuse in either.
    rng = np.random.default_rng(3)
    clusters, samples, share = 40, 25, 0.3
    names = [f"template {number}" for number in range(clusters)]
    cells = Cells.of(
        [name for name in names for _ in range(2 * samples)],
        [group for _ in names for group in ("women", "men") for _ in range(samples)],
        ("women", "men"),
    )
    passed = 0
    for _ in range(FEWER):
        answers = (rng.random(2 * clusters * samples) < share).astype(np.float64)
        scored = Scored("refusal_gap", "proportion", answers)
        estimate = gap_estimates(scored, cells, seed=0, details={})["refusal_gap"]
        passed += judge(estimate, Limit(max=0.1)).verdict is Verdict.PASS
    rule = PassRule(Limit(max=0.1), signed=True, reach=1.0)
    planned = pass_power(rule, 0.0, math.sqrt(2 * share * (1 - share) / samples), clusters)
    assert planned == pytest.approx(passed / FEWER, abs=POINTS)
    assert 0.5 < planned < 0.95


def test_the_clusters_that_a_plan_asks_for_are_enough() -> None:
    rng = np.random.default_rng(4)
    rule = PassRule(Limit(max=0.1), signed=True)
    clusters = clusters_to_pass(rule, 0.0, 0.25)
    assert clusters is not None
    columns = rng.normal(0, 0.25, (REPEATS, clusters))
    passed = sum(
        judge(Estimate("gap", 0.0, t_interval(column), "nats", "zero", 1, clusters), Limit(max=0.1)).verdict
        is Verdict.PASS
        for column in columns
    )
    assert passed / REPEATS == pytest.approx(0.80, abs=POINTS)


def of_clusters(name: str, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Estimate:
    clusters = {f"c{number}": float(value) for number, value in enumerate(values)}
    return Estimate(name, float(values.mean()), t_interval(values), "nats", "lower", 30, 30, cluster_values=clusters)


def test_a_margin_on_the_worst_gap_as_the_gate_judges_it() -> None:
    # Three pairs of groups, 30 prompts asked of two models: the change of every gap must be shown to keep the margin.
    rng = np.random.default_rng(5)
    pairs = ("gap.a-b", "gap.a-c", "gap.b-c")
    kept = 0
    for _ in range(FEWER):
        before, after = ({name: rng.normal(0, 0.5, 30).tolist() for name in pairs} for _ in range(2))
        gate = against({"gap": before["gap.a-b"], **before}, {"gap": after["gap.a-b"], **after}, "zero")
        kept += gate.judge("gap", 0.5, "measured").verdict in {"equivalent", "better"}
    rule = PassRule(Limit(max=0.5), signed=True, facets=len(pairs))
    planned = pass_power(rule, 0.0, math.sqrt(2) * 0.5, 30)
    assert planned == pytest.approx(kept / FEWER, abs=POINTS)
    assert 0.5 < planned < 0.95
