"""Intervals made again at another level, where the clusters' values give them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmaudit.gaps import Cells, Scored, gap_estimates
from llmaudit.relevelling import relevelled
from llmaudit.stats import t_interval
from llmaudit.types import Estimate, Interval

CLUSTERS, SAMPLES = 14, 5


def gaps(unit: str, groups: tuple[str, ...]) -> dict[str, Estimate]:
    names = [f"c{number}" for number in range(CLUSTERS)]
    cells = Cells.of(
        [name for name in names for _ in groups for _ in range(SAMPLES)],
        [group for _ in names for group in groups for _ in range(SAMPLES)],
        groups,
    )
    drawn = np.random.default_rng(1).random(CLUSTERS * len(groups) * SAMPLES)
    values = (drawn < 0.3).astype(np.float64) if unit == "proportion" else drawn
    return gap_estimates(Scored("x_gap", unit, values), cells, seed=0, details={})


@pytest.mark.parametrize("unit", ["nats", "proportion"])
@pytest.mark.parametrize("groups", [("a", "b"), ("a", "b", "c")])
def test_gaps_are_made_again_at_their_own_level_and_wider_at_another(unit: str, groups: tuple[str, ...]) -> None:
    estimates = gaps(unit, groups)
    for name in ("x_gap", "x_gap.a-b"):
        before = estimates[name].interval
        same, wide = relevelled(estimates, name, 0.90), relevelled(estimates, name, 0.99)
        assert before is not None
        assert same is not None
        assert same.interval is not None
        assert (same.interval.low, same.interval.high) == pytest.approx((before.low, before.high))
        assert wide is not None
        assert wide.interval is not None
        assert wide.interval.level == 0.99
        assert wide.interval.high > before.high
        assert (wide.value, wide.cluster_values) == (estimates[name].value, estimates[name].cluster_values)


def test_a_mean_of_clusters_is_the_t_interval() -> None:
    values = np.random.default_rng(2).normal(size=20)
    clusters = {str(number): float(value) for number, value in enumerate(values)}
    estimate = Estimate("m", float(values.mean()), t_interval(values), "nats", "lower", 20, 20, cluster_values=clusters)
    found = relevelled({"m": estimate}, "m", 0.99)
    expected = t_interval(values, 0.99)
    assert found is not None
    assert found.interval is not None
    assert expected is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))


def test_an_interval_that_took_more_than_the_clusters_is_left_alone() -> None:
    estimates = gaps("proportion", ("a", "b"))
    widened = replace(estimates["x_gap"], interval=Interval(0.0, 0.6, 0.90, "widened for the scorer's errors"))
    assert relevelled({**estimates, "x_gap": widened}, "x_gap", 0.99) is None


def test_what_is_exact_or_has_no_interval_stays() -> None:
    exact = Estimate("size", 5.0, None, "tokens", "lower", 1, 1, deterministic=True)
    nothing = Estimate("gap", float("nan"), None, "nats", "zero", 0, 0, problem="there are no answers")
    assert relevelled({"size": exact}, "size", 0.99) is exact
    assert relevelled({"gap": nothing}, "gap", 0.99) is nothing
