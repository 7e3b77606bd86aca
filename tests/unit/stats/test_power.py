"""Power: the functions invert each other, and degenerate designs have an answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaudit.stats.power import Sides, clusters_needed, mde, mde_floor, power_of_pass, variance_components

SIDES: st.SearchStrategy[Sides] = st.sampled_from([1, 2])


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100), st.integers(3, 200), SIDES)
def test_the_effect_that_a_design_detects_needs_that_design(sd: float, clusters: int, sided: Sides) -> None:
    effect = mde(sd, clusters, sided=sided)
    assert clusters_needed(sd, effect * 1.0001, sided=sided) == clusters
    assert clusters_needed(sd, effect * 0.9999, sided=sided) == clusters + 1


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100), st.integers(2, 200))
def test_a_harmless_model_passes_the_detectable_margin_with_the_asked_power(sd: float, clusters: int) -> None:
    assert power_of_pass(0, mde(sd, clusters, power=0.9), sd, clusters) == pytest.approx(0.9, abs=1e-9)


@given(st.floats(-2, 2), st.integers(2, 60))
def test_false_passes_at_the_margin_are_alpha(margin: float, clusters: int) -> None:
    assert power_of_pass(margin, margin, 1.0, clusters, alpha=0.05) == pytest.approx(0.05)


@pytest.mark.parametrize("effect", [1e-3, 0.5, 1, 10, 1e6])
def test_more_clusters_and_a_wider_margin_help(effect: float) -> None:
    chances = [power_of_pass(0, effect, 1.0, clusters) for clusters in (2, 5, 20, 100)]
    assert chances == sorted(chances)
    assert power_of_pass(0, 2 * effect, 1.0, 5) >= power_of_pass(0, effect, 1.0, 5)
    assert power_of_pass(2 * effect, effect, 1.0, 20) < 0.05


def test_two_sides_need_more() -> None:
    assert mde(1, 20, sided=2) > mde(1, 20, sided=1)
    assert clusters_needed(1, 0.5, sided=2) > clusters_needed(1, 0.5, sided=1)


def test_degenerate_designs_have_an_answer() -> None:
    assert mde(1, 1) == math.inf
    assert mde(0, 10) == 0
    assert mde(1, 10, power=0.05) == 0
    assert clusters_needed(0, 0.1) == 2
    assert clusters_needed(1, 1e6) == 2
    assert power_of_pass(0, 1, 1, 1) == 0
    assert [power_of_pass(harm, 1, 0, 10) for harm in (0, 1, 2)] == [1, 1, 0]


@pytest.mark.parametrize("sd", [-1, math.nan, math.inf])
def test_what_is_no_standard_deviation_is_refused(sd: float) -> None:
    for call in (lambda: mde(sd, 10), lambda: clusters_needed(sd, 1), lambda: power_of_pass(0, 1, sd, 10)):
        with pytest.raises(ValueError, match="standard deviation"):
            call()


def test_bad_probabilities_and_differences_are_refused() -> None:
    with pytest.raises(ValueError, match="alpha and power"):
        mde(1, 10, alpha=0)
    with pytest.raises(ValueError, match="alpha and power"):
        clusters_needed(1, 1, power=1)
    with pytest.raises(ValueError, match="positive, not 0"):
        clusters_needed(1, 0)


def test_variance_components_are_recovered() -> None:
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(2, 4000, 8)) + np.stack([rng.normal(0, 0.3, 4000), np.zeros(4000)])[..., None]
    a, b = cells.var(axis=-1, ddof=1)
    found = variance_components(cells[0].mean(-1) - cells[1].mean(-1), a, b, 8)
    assert found is not None
    assert math.sqrt(found.between) == pytest.approx(0.3, abs=0.03)
    assert found.within == pytest.approx(2, abs=0.05)
    assert found.difference_sd(8) == pytest.approx(math.sqrt(0.09 + 0.25), abs=0.02)


def test_more_samples_stop_at_the_floor() -> None:
    found = variance_components([1.0, 2.0, 3.0, 4.0], [1.0] * 4, [1.0] * 4, 10)
    assert found is not None
    floor = mde_floor(math.sqrt(found.between), 12)
    assert mde(found.difference_sd(10), 12) > mde(found.difference_sd(1000), 12) > floor
    assert mde(found.difference_sd(10**9), 12) == pytest.approx(floor)


def test_sampling_noise_alone_leaves_no_variance_between_clusters() -> None:
    found = variance_components([0.0, 0.1, 0.0], [5.0] * 3, [5.0] * 3, 2)
    assert found is not None
    assert found.between == 0


def test_variance_components_need_data() -> None:
    assert variance_components([1.0], [1.0], [1.0], 5) is None
    assert variance_components([1.0, math.nan], [1.0, 1.0], [1.0, 1.0], 5) is None
    assert variance_components([1.0, 2.0], [], [], 5) is None
    with pytest.raises(ValueError, match="0 samples per cell"):
        variance_components([1.0, 2.0], [1.0, 1.0], [1.0, 1.0], 0)
