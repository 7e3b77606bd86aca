"""Published boundaries of group sequential tests."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from llmaudit.stats.sequential import Spending, boundaries, crossing_probability, look_levels

#: Two-sided 5 %, so one-sided 2.5 %, five equally spaced looks (Lan and DeMets 1983; the tables of ldbounds).
LAN_DEMETS: dict[Spending, list[float]] = {
    "obrien_fleming": [4.877, 3.357, 2.680, 2.290, 2.031],
    "pocock": [2.438, 2.427, 2.410, 2.397, 2.386],
}
#: Jennison and Turnbull (2000), tables 2.1 and 2.3: z values of the classic tests, two-sided 5 %, by number of looks.
CLASSIC_POCOCK = {2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 10: 2.555}
CLASSIC_OBRIEN_FLEMING = {2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087}


@pytest.mark.parametrize("plan", LAN_DEMETS)
def test_boundaries_are_those_of_lan_and_demets(plan: Spending) -> None:
    assert boundaries(plan, 5, 0.025) == pytest.approx(LAN_DEMETS[plan], abs=6e-4)


@pytest.mark.parametrize("looks", CLASSIC_POCOCK)
def test_the_classic_boundaries_err_as_often_as_they_say(looks: int) -> None:
    even = [CLASSIC_POCOCK[looks]] * looks
    late = [CLASSIC_OBRIEN_FLEMING[looks] * (looks / look) ** 0.5 for look in range(1, looks + 1)]
    assert crossing_probability(even) == pytest.approx(0.025, abs=1e-4)
    assert crossing_probability(late) == pytest.approx(0.025, abs=1e-4)


def looks_at(rng: np.random.Generator, between: float) -> NDArray[np.float64]:
    """Return estimates over clusters at three looks, shape (looks, runs, clusters): samples are added."""
    runs, clusters, samples = 20_000, 30, 5
    effect = rng.normal(0, between, (runs, clusters, 1))
    draws = effect + rng.normal(0, 1, (runs, clusters, 3 * samples))
    return np.stack([draws[:, :, : samples * look].mean(axis=2) for look in (1, 2, 3)])


@pytest.mark.parametrize("plan", LAN_DEMETS)
@pytest.mark.parametrize("between", [0.0, 0.3])
def test_three_looks_at_growing_samples_pass_a_harmful_model_no_more_often_than_one(
    plan: Spending, between: float
) -> None:
    from scipy import stats

    columns = looks_at(np.random.default_rng(7), between)
    quantiles = stats.t.isf(look_levels(plan, 3), columns.shape[2] - 1)
    errors = columns.std(axis=2, ddof=1) / columns.shape[2] ** 0.5
    passed = (columns.mean(axis=2) + np.reshape(quantiles, (3, 1)) * errors < 0).any(axis=0)
    peeked = (columns.mean(axis=2) + stats.t.isf(0.05, columns.shape[2] - 1) * errors < 0).any(axis=0)
    assert passed.mean() < 0.05 + 3 * (0.05 * 0.95 / len(passed)) ** 0.5
    if between == 0:
        assert passed.mean() > 0.045
        assert peeked.mean() > 0.09
