"""Entropy of a distribution as a sampler bends it."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.stats.entropy import bent, entropy, temperature_of_entropy

LOGITS = st.lists(st.floats(-8, 8), min_size=2, max_size=12)
TEMPERATURES = st.floats(0.05, 5)


def test_at_temperature_one_it_is_the_distribution_itself() -> None:
    p = np.array([0.5, 0.3, 0.2])
    assert bent(np.log(p), 1) == pytest.approx(p)
    assert entropy(p) == pytest.approx(-sum(x * math.log(x) for x in p))
    assert entropy([1.0, 0.0]) == 0


def test_a_temperature_raises_probabilities_to_its_inverse() -> None:
    p = np.array([0.5, 0.3, 0.2])
    assert bent(np.log(p), 0.5) == pytest.approx(p**2 / (p**2).sum())
    with pytest.raises(ValueError, match="above 0"):
        bent(np.log(p), 0)


def test_top_k_and_top_p_keep_the_most_likely_tokens() -> None:
    logits = np.log([0.2, 0.5, 0.3])
    assert bent(logits, 1, top_k=2) == pytest.approx([0, 0.625, 0.375])
    # The smallest set whose mass reaches 0.5 is the most likely token alone.
    assert bent(logits, 1, top_p=0.5) == pytest.approx([0, 1, 0])
    assert bent(logits, 1, top_p=0.51) == pytest.approx([0, 0.625, 0.375])


@given(LOGITS, TEMPERATURES)
def test_the_slope_over_the_temperature_is_the_variance_over_its_cube(logits: list[float], temperature: float) -> None:
    z, step = np.array(logits), 1e-4 * temperature
    slope = (entropy(bent(z, temperature + step)) - entropy(bent(z, temperature - step))) / (2 * step)
    p = bent(z, temperature)
    variance = float((p * z**2).sum() - (p * z).sum() ** 2)
    assert slope == pytest.approx(variance / temperature**3, rel=1e-3, abs=1e-5)


@given(LOGITS, st.lists(st.floats(0.01, 1), min_size=2, max_size=5))
def test_it_never_falls_as_a_nucleus_grows(logits: list[float], masses: list[float]) -> None:
    found = [entropy(bent(logits, 1, top_p=mass)) for mass in sorted(masses)]
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(found))


@given(st.floats(0.1, 4))
def test_the_temperature_of_an_entropy_is_found_again(temperature: float) -> None:
    rows = [np.log(np.random.default_rng(seed).dirichlet(np.full(50, 0.5))) for seed in range(3)]
    target = float(np.mean([entropy(bent(row, temperature)) for row in rows]))
    assert temperature_of_entropy(rows, target) == pytest.approx(temperature, rel=1e-6)


def test_an_entropy_that_no_temperature_gives_is_nan() -> None:
    assert math.isnan(temperature_of_entropy([np.log([0.5, 0.5])], 0.3))
    assert math.isnan(temperature_of_entropy([np.log([0.6, 0.4])], 1.0))
    assert math.isnan(temperature_of_entropy([], 1.0))
