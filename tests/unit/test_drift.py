"""What a variant changes: paired, cluster by cluster."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.audit import drift_name
from llmaudit.changes import facets_of
from llmaudit.drift import Drift
from llmaudit.gaps import proportion_interval
from llmaudit.stats import Limit, judge, sign_flip, t_interval
from llmaudit.types import Better, Estimate, Verdict

VALUES = st.lists(st.floats(-5, 5), min_size=3, max_size=12)


def estimate(name: str, values: list[float], better: Better = "zero", **changes: object) -> Estimate:
    clusters = {f"c{number}": value for number, value in enumerate(values)}
    found = Estimate(name, float(np.nanmean(values)), None, "nats", better, 30, len(values), cluster_values=clusters)
    return Estimate(**{**{field: getattr(found, field) for field in found.__slots__}, **changes})


@given(VALUES, st.integers(0, 9))
def test_a_change_is_the_mean_of_the_paired_differences(values: list[float], seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=len(values))
    after = [value + float(extra) for value, extra in zip(values, noise, strict=True)]
    found = Drift("v", {"gap": estimate("gap", values)}, {"gap": estimate("gap", after)}, 1).estimates()["drift.v.gap"]
    differences = np.array(after) - np.array(values)
    assert found.value == pytest.approx(float(differences.mean()))
    assert found.interval == t_interval(differences, 0.90)
    assert found.p_value == sign_flip(differences, 1)
    assert found.details == {"model": pytest.approx(np.mean(values)), "variant": pytest.approx(np.mean(after))}


def test_what_only_one_of_them_measured_is_left_out() -> None:
    model, other = estimate("gap", [1.0, math.nan, 2.0, 3.0]), estimate("gap", [2.0, 1.0, math.nan, 4.0])
    found = Drift("v", {"gap": model}, {"gap": other}, 0).estimates()["drift.v.gap"]
    assert (found.value, found.clusters) == (1.0, 2)


def test_the_worst_change_is_that_of_any_facet() -> None:
    # The worst gap moves from one pair to another and keeps its size: that is a change all the same.
    model = {"gap": estimate("gap", [1.0, 1.1, 0.9]), "gap.a-b": estimate("gap.a-b", [1.0, 1.1, 0.9])}
    model |= {"gap.a-c": estimate("gap.a-c", [0.0, 0.1, -0.1])}
    other = {"gap": estimate("gap", [-1.0, -1.1, -0.9]), "gap.a-b": estimate("gap.a-b", [0.1, 0.0, 0.2])}
    other |= {"gap.a-c": estimate("gap.a-c", [-1.0, -1.1, -0.9])}
    found = Drift("v", model, other, 0).estimates()
    worst = found["drift.v.gap"]
    assert worst.value == pytest.approx(max(abs(found[f"drift.v.gap.{pair}"].value) for pair in ("a-b", "a-c")))
    assert worst.better == "lower"
    assert worst.interval is not None
    assert worst.interval.low > 0.5


def test_the_change_of_a_whole_is_not_that_of_its_worst_part() -> None:
    model = {"mean": estimate("mean", [1.0, 2.0, 3.0, 4.0]), "mean.part": estimate("mean.part", [1.0, 2.0])}
    other = {"mean": estimate("mean", [1.0, 2.0, 3.0, 4.0]), "mean.part": estimate("mean.part", [2.0, 3.0])}
    found = Drift("v", model, other, 0).estimates()
    assert (found["drift.v.mean"].value, found["drift.v.mean.part"].value) == (0.0, 1.0)


def test_the_worst_is_compared_by_facets_though_one_of_them_leaves_it_without_an_interval() -> None:
    # The worst facet of the model is not that of the variant: their difference is no change of anything.
    lone = {"gap.c-d": estimate("gap.c-d", [0.5], "lower")}
    model = {
        "gap.a-b": estimate("gap.a-b", [3.0, 3.2] * 5, "lower"),
        "gap.a-c": estimate("gap.a-c", [1.0, 1.2] * 5, "lower"),
    }
    other = {"gap.a-b": model["gap.a-c"], "gap.a-c": model["gap.a-b"]}
    bare = {"gap": replace(model["gap.a-b"], metric="gap")}
    found = Drift("v", {**bare, **model, **lone}, {**bare, **other, **lone}, 0).estimates()
    assert found["drift.v.gap"].value == pytest.approx(2.0)
    assert found["drift.v.gap"].interval is None


def test_an_exact_metric_changes_exactly() -> None:
    model = {"tokens": Estimate("tokens", 10.0, None, "tokens", "lower", 1, 1, deterministic=True)}
    other = {"tokens": Estimate("tokens", 12.0, None, "tokens", "lower", 1, 1, deterministic=True)}
    found = Drift("v", model, other, 0).estimates()["drift.v.tokens"]
    assert (found.value, found.deterministic, found.problem) == (2.0, True, None)


def test_a_metric_without_clusters_cannot_be_judged() -> None:
    plain = Estimate("m", 1.0, None, "", "lower", 9, 9)
    found = Drift("v", {"m": plain}, {"m": plain}, 0).estimates()["drift.v.m"]
    assert found.problem is not None
    assert "no value per cluster" in found.problem


def test_a_problem_of_either_is_one_of_the_change() -> None:
    fine, bad = estimate("m", [1.0, 2.0, 3.0]), estimate("m", [1.0, 2.0, 3.0], problem="too many are missing")
    for model, other in ((fine, bad), (bad, fine)):
        found = Drift("v", {"m": model}, {"m": other}, 0).estimates()["drift.v.m"]
        assert found.problem == "too many are missing"


def test_a_facet_that_nothing_is_known_of_may_have_changed_most() -> None:
    calm = estimate("rate.a", [1.0, 1.1] * 6, "lower")
    lost = Estimate("rate.b", math.nan, None, "nats", "lower", 0, 0, problem="there are no answers")
    both = {"rate": replace(calm, metric="rate", problem="there are no answers"), "rate.a": calm, "rate.b": lost}
    found = Drift("v", both, both, 0).estimates()["drift.v.rate"]
    assert judge(found, Limit(max=1.0)).verdict is Verdict.INCONCLUSIVE
    assert found.problem == "there are no answers"


def test_the_worst_change_of_an_exact_metric_is_that_of_any_facet() -> None:
    def measured(**counts: float) -> dict[str, Estimate]:
        facets = {
            f"tokens.{language}": Estimate(
                f"tokens.{language}", count, None, "tokens", "lower", 9, 9, deterministic=True
            )
            for language, count in counts.items()
        }
        worst = max(facets.values(), key=lambda facet: facet.value)
        return {"tokens": replace(worst, metric="tokens"), **facets}

    found = Drift("v", measured(eng=10, deu=30), measured(eng=25, deu=28), 0).estimates()["drift.v.tokens"]
    assert (found.value, found.deterministic, found.interval, found.problem) == (15.0, True, None, None)


def test_an_exact_metric_without_a_value_is_no_change_of_nothing() -> None:
    known, unknown = (Estimate("m", value, None, "", "lower", 1, 1, deterministic=True) for value in (1.0, math.nan))
    assert Drift("v", {"m": known}, {"m": unknown}, 0).estimates()["drift.v.m"].problem == "nothing could be measured"


@pytest.mark.parametrize(
    ("unit", "better", "reach"), [("proportion", "lower", 1), ("proportion", "zero", 2), ("%", "lower", 100)]
)
def test_a_rare_event_that_neither_shows_may_still_be_commoner_in_one(unit: str, better: Better, reach: float) -> None:
    quiet = {"rate": estimate("rate", [0.0] * 12, better, unit=unit)}
    found = Drift("v", quiet, quiet, 0).estimates()["drift.v.rate"]
    expected = proportion_interval(np.zeros(12), 0.90)
    assert found.interval is not None
    assert expected is not None
    assert found.interval.high == pytest.approx(reach * expected.high)
    assert judge(found, Limit(max=0.05 * reach)).verdict is Verdict.INCONCLUSIVE


def test_names() -> None:
    assert drift_name("nf4", "gap.a-b") == "drift.nf4.gap.a-b"
    assert facets_of("gap", ["gap", "gap.a-b", "gap_size.a", "gap.a-c"]) == ["gap.a-b", "gap.a-c"]
    assert facets_of("gap.a-b", ["gap", "gap.a-b"]) == []
