"""Divergence and perplexity over documents, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmaudit.engines.comparing import Positions, Span
from llmaudit.fidelity.damage import Damage, damage_estimates, damage_metrics
from llmaudit.fidelity.windows import Reading
from llmaudit.types import Estimate


def positions(kl: list[float], before: list[float], after: list[float], same: list[float]) -> Positions:
    shared = np.full(len(kl), 0.8)
    return Positions(np.array(kl), np.array(before), np.array(after), np.array(same), shared, clipped=1)


READING = Reading(
    ("a", "b"),
    (Span((0, 1, 2), 1), Span((0, 1, 2, 3), 1), Span((0, 1), 1)),
    (0, 1, 1),
    np.array([10.0, 30.0]),
    np.array([2.0, 5.0]),
)
HEARD = [
    positions([0.1, 0.3], [1.0, 2.0], [1.5, 2.0], [1.0, 0.0]),
    positions([0.0, 0.2, 0.4], [1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 1.0]),
    positions([0.8], [0.5], [0.0], [0.0]),
]


@pytest.fixture(scope="module")
def estimates() -> dict[str, Estimate]:
    return damage_estimates({"v": Damage.of(HEARD, READING.places)}, READING, seed=1)


def test_every_metric_is_declared(estimates: dict[str, Estimate]) -> None:
    metrics = damage_metrics(["v"])
    assert list(estimates) == list(metrics)
    for name, estimate in estimates.items():
        metric = metrics[name]
        found = (estimate.metric, estimate.unit, estimate.better, estimate.deterministic)
        assert found == (name, metric.unit, metric.better, metric.deterministic)


def test_means_are_over_tokens(estimates: dict[str, Estimate]) -> None:
    assert estimates["kl_mean.v"].value == pytest.approx(1.8 / 6)
    assert estimates["kl_mean.v"].cluster_values == pytest.approx({"a": 0.2, "b": 1.4 / 4})
    assert estimates["kl_mean.v"].details == {"clipped at 0": 3.0}
    assert (estimates["kl_mean.v"].n, estimates["kl_mean.v"].clusters) == (6, 2)
    assert estimates["top1_agreement.v"].value == pytest.approx(4 / 6)
    assert estimates["top5_agreement.v"].value == pytest.approx(0.8)
    assert estimates["kl_max.v"].value == 0.8
    assert estimates["kl_max.v"].deterministic


def test_percentiles_are_over_tokens_and_need_documents(estimates: dict[str, Estimate]) -> None:
    assert estimates["kl_median.v"].value == 0.2
    assert estimates["kl_p90.v"].value == 0.8
    assert estimates["kl_median.v"].problem == "2 documents: an interval of a percentile needs 30"
    assert estimates["kl_p999.v"].problem == "6 tokens: this percentile needs 2995"


def test_the_probability_of_the_token_that_comes(estimates: dict[str, Estimate]) -> None:
    before, after = np.exp([-1.0, -2, -1, -1, -1, -0.5]), np.exp([-1.5, -2, -1, -2, -1, 0.0])
    assert estimates["probability_change.v"].value == pytest.approx((after - before).mean())
    assert estimates["probability_change_rms.v"].value == pytest.approx(math.sqrt(((after - before) ** 2).mean()))


def test_perplexities_and_their_normalisers_agree(estimates: dict[str, Estimate]) -> None:
    for model, nats in {"reference": 6.5, "v": 7.5}.items():
        assert estimates[f"perplexity.{model}"].value == pytest.approx(math.exp(nats / 6))
        assert estimates[f"bits_per_byte.{model}"].value == pytest.approx(nats / math.log(2) / 40)
        assert estimates[f"word_perplexity.{model}"].value == pytest.approx(math.exp(nats / 7))
        per_token = 6 * math.log(estimates[f"perplexity.{model}"].value)
        assert per_token == pytest.approx(40 * math.log(2) * estimates[f"bits_per_byte.{model}"].value)
        assert per_token == pytest.approx(7 * math.log(estimates[f"word_perplexity.{model}"].value))
    ratio = math.log(estimates["perplexity.v"].value / estimates["perplexity.reference"].value)
    assert estimates["log_perplexity_ratio.v"].value == pytest.approx(ratio)
    assert estimates["log_perplexity_ratio.v"].p_value is not None


def test_a_model_that_is_the_reference_has_lost_nothing() -> None:
    many = Reading(
        tuple(f"d{number}" for number in range(40)),
        tuple(Span((0, *range(100)), 1) for _ in range(40)),
        tuple(range(40)),
        np.full(40, 500.0),
        np.full(40, 90.0),
    )
    rng = np.random.default_rng(2)
    nats = [rng.exponential(size=100) for _ in range(40)]
    same = [Positions(np.zeros(100), nll, nll, np.ones(100), np.ones(100), 0) for nll in nats]
    found = damage_estimates({"v": Damage.of(same, many.places)}, many, seed=1)
    for name in ("kl_mean.v", "kl_median.v", "kl_p999.v", "kl_max.v", "log_perplexity_ratio.v", "probability_change.v"):
        assert found[name].value == 0
        assert found[name].problem is None
    interval = found["kl_p999.v"].interval
    assert interval is not None
    assert (interval.low, interval.high) == (0, 0)
    assert found["top1_agreement.v"].value == 1


def test_a_variant_that_cannot_be_had_leaves_the_others_alone() -> None:
    damages: dict[str, Damage | str] = {"v": Damage.of(HEARD, READING.places), "w": "needs a package"}
    found = damage_estimates(damages, READING, seed=1)
    assert list(found) == list(damage_metrics(["v", "w"]))
    assert found["kl_mean.w"].problem == "needs a package"
    assert found["kl_mean.v"].problem is None
    assert found["perplexity.reference"].value == pytest.approx(math.exp(6.5 / 6))


def test_of_no_variant_at_all_there_is_nothing() -> None:
    found = damage_estimates({"w": "needs a package"}, READING, seed=1)
    assert all(math.isnan(estimate.value) and estimate.problem for estimate in found.values())
