"""Seeded simulations: the levels that the statistics promise are the levels that they have."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from llmaudit.stats import (
    Limit,
    bca_cluster_bootstrap,
    judge,
    ratio_interval,
    sign_flip,
    simultaneous_t_intervals,
    t_interval,
    worst_absolute,
    worst_of,
)
from llmaudit.types import Better, Estimate, Verdict

REPEATS = 2000
#: What docs/statistics.md section 0.1 simulates: templates differ in their level and in their true group difference.
TEMPLATE_SD, DIFFERENCE_SD, RESIDUAL_SD = 0.7, 0.3, 1.0


def error(rate: float, repeats: int = REPEATS) -> float:
    """Return three Monte-Carlo standard errors of a rate: about 40 rates are compared here. At 5 % it is 1.5 points."""
    return 3 * math.sqrt(rate * (1 - rate) / repeats)


def audits_without_bias(clusters: int, samples: int) -> NDArray[np.float64]:
    """Draw samples, shape (REPEATS, 2 groups, clusters, samples), in which the groups do not differ on average."""
    rng = np.random.default_rng([clusters, samples])
    level = rng.normal(0, TEMPLATE_SD, (REPEATS, 1, clusters, 1))
    difference = rng.normal(0, DIFFERENCE_SD, (REPEATS, 1, clusters, 1))
    groups = np.array([0.5, -0.5])[None, :, None, None]
    return level + groups * difference + rng.normal(0, RESIDUAL_SD, (REPEATS, 2, clusters, samples))


def sign_flip_of_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sign-flip p of many audits at once, from one set of sign patterns."""
    clusters = rows.shape[1]
    patterns = np.arange(2**clusters) if clusters <= 10 else np.random.default_rng(0).integers(0, 2**clusters, 2000)
    signs = 2.0 * ((patterns[:, None] >> np.arange(clusters)) & 1) - 1
    observed = np.abs(rows.sum(axis=1, keepdims=True)) * (1 - 1e-12)
    return np.asarray((np.abs(rows @ signs.T) >= observed).mean(axis=1))


@pytest.mark.parametrize("samples", [30, 100])
@pytest.mark.parametrize("clusters", [6, 10, 20])
def test_tests_over_clusters_hold_their_level_where_tests_over_samples_do_not(clusters: int, samples: int) -> None:
    draws = audits_without_bias(clusters, samples)
    pooled = draws.reshape(REPEATS, 2, -1)
    naive = np.mean(stats.ttest_ind(pooled[:, 0], pooled[:, 1], axis=-1, equal_var=False).pvalue < 0.05)
    assert 2 * 0.05 < naive < 7 * 0.05

    means = draws.mean(axis=-1)
    differences = means[:, 0] - means[:, 1]
    intervals = [t_interval(row, 0.95) for row in differences]
    by_t = np.mean([interval is not None and not interval.low <= 0 <= interval.high for interval in intervals])
    flipped = sign_flip_of_rows(differences)
    assert [sign_flip(row, seed=0) for row in differences[:20]] == pytest.approx(flipped[:20], abs=0.04)
    assert by_t <= 0.05 + error(0.05)
    assert np.mean(flipped <= 0.05) <= 0.05 + error(0.05)


def estimate_of(values: NDArray[np.float64], better: Better) -> Estimate:
    return Estimate(
        "gap", float(values.mean()), t_interval(values), "points", better, n=values.size, clusters=values.size
    )


@pytest.mark.parametrize("better", ["lower", "zero"])
@pytest.mark.parametrize("clusters", [10, 20, 40])
def test_a_model_at_the_limit_passes_and_fails_at_most_alpha_of_the_time(clusters: int, better: Better) -> None:
    draws = np.random.default_rng(clusters).normal(0.5, 1, (REPEATS, clusters))
    verdicts = [judge(estimate_of(row, better), Limit(max=0.5)).verdict for row in draws]
    for wrong in (Verdict.PASS, Verdict.FAIL):
        assert verdicts.count(wrong) / REPEATS <= 0.05 + error(0.05)


@pytest.mark.parametrize("harms", [(0.5, 0.0, 0.0), (0.5, 0.5, 0.5), (-0.5, 0.5, 0.0)])
def test_the_worst_of_several_facets_passes_at_most_alpha_of_the_time(harms: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    passes, covered = 0, 0
    for _ in range(REPEATS):
        facets = rng.normal(np.array(harms)[:, None], 1, (len(harms), 12))
        intervals, values = simultaneous_t_intervals(list(facets)), [float(row.mean()) for row in facets]
        gap = worst_absolute(intervals, values)
        assert gap.interval is not None
        covered += gap.interval.low <= 0.5 <= gap.interval.high
        worst = worst_of(intervals, values, "lower")
        judged = Estimate("gap", worst.value, worst.interval, "points", "lower", n=36, clusters=12)
        passes += judge(judged, Limit(max=0.5)).verdict is Verdict.PASS
    assert passes / REPEATS <= 0.05 + error(0.05)
    assert covered / REPEATS >= 0.90 - error(0.90)


def tokens_and_words(rng: np.random.Generator, documents: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw documents of very unequal length whose ratio of sums is 1.5 in expectation."""
    words = rng.lognormal(3, 0.6, documents)
    return words * 1.5 * rng.lognormal(-(0.25**2) / 2, 0.25, documents), words


@pytest.mark.parametrize(("documents", "repeats"), [(10, 8000), (20, 8000), (40, 400)])
def test_ratio_intervals_of_skewed_documents(documents: int, repeats: int) -> None:
    rng = np.random.default_rng(documents)
    found = [ratio_interval(*tokens_and_words(rng, documents)) for _ in range(repeats)]
    too_low = np.mean([interval is None or interval.high < 1.5 for interval in found])
    too_high = np.mean([interval is None or interval.low > 1.5 for interval in found])
    assert too_low + too_high <= 0.10 + error(0.10, repeats)
    # The skew moves the misses to one side: 7 % in 140,000 repeats at 10 documents, against 9.5 % by the delta method.
    assert too_low <= 0.07 + error(0.07, repeats)


def test_the_bootstrap_from_the_clusters_on_that_it_asks_for() -> None:
    repeats = 400
    draws = np.random.default_rng(0).exponential(1, (repeats, 30))
    found = [bca_cluster_bootstrap(row) for row in draws]
    missed = np.mean([interval is None or not interval.low <= 1 <= interval.high for interval in found])
    assert missed <= 0.12 + error(0.12, repeats)  # nominally 0.10, for data as skewed as an exponential
