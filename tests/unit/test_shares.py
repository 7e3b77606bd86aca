"""Intervals of numbers that lie in a range."""

from __future__ import annotations

import numpy as np
import pytest

from llmaudit.shares import share_interval, tau_interval
from llmaudit.stats import t_interval


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_what_happens_to_all_is_as_certain_as_what_happens_to_none(share: float) -> None:
    found = share_interval(np.full(20, share), least=0.0)
    assert found is not None
    bound = 1 - 0.05 ** (1 / 20)
    assert (found.low, found.high) == pytest.approx((0, bound) if share == 0 else (1 - bound, 1))


def test_intervals_that_hold_together_are_wider() -> None:
    one, both = (share_interval(np.zeros(20), least=-1.0, together=count) for count in (1, 2))
    assert one is not None
    assert both is not None
    assert (one.level, both.level) == (0.90, 0.90)
    assert both.high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert both.low == -both.high


def test_a_tau_that_varies_has_its_t_interval() -> None:
    taus = np.random.default_rng(0).choice([-0.4, 0.0, 0.2, 0.6], 24)
    found, plain = tau_interval(taus, 5), t_interval(taus)
    assert found is not None
    assert plain is not None
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))


@pytest.mark.parametrize("tau", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("levels", [2, 3, 5])
def test_a_tau_that_all_clusters_share_is_no_certainty(tau: float, levels: int) -> None:
    found = tau_interval(np.full(20, tau), levels)
    assert found is not None
    assert -1 <= found.low <= tau <= found.high <= 1
    # The exact bound on the share of clusters that turn so many of the pairs.
    turned = {2: 1.0, 3: 1.5 / 3, 5: 1.5 / 10}[levels]
    away = max(found.high - tau, tau - found.low)
    assert away == pytest.approx(2 * turned * (1 - 0.05 ** (1 / 20)))


def test_one_cluster_has_no_interval() -> None:
    assert share_interval(np.array([0.5]), least=0.0) is None
    assert tau_interval(np.array([]), 3) is None


@pytest.mark.parametrize(("rise", "clusters", "levels"), [(0.0, 24, 5), (1.0, 24, 5), (1.5, 10, 3), (1.0, 24, 3)])
def test_a_bound_on_a_mean_tau_misses_as_often_as_it_says(rise: float, clusters: int, levels: int) -> None:
    rng = np.random.default_rng([clusters, levels])
    first, second = np.triu_indices(levels, 1)

    def draw(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        values = rise * np.arange(levels) + rng.normal(size=(count, levels))
        return np.asarray(np.sign(values[:, second] - values[:, first]).mean(axis=1))

    truth = draw(100_000).mean()
    found = [tau_interval(draw(clusters), levels) for _ in range(1000)]
    too_high = sum(interval is not None and interval.low > truth for interval in found) / 1000
    assert too_high <= 0.05 + 3 * (0.05 * 0.95 / 1000) ** 0.5
