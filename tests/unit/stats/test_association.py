"""WEAT: brute force, a hand-computed effect, and what must not change it."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from llmaudit.stats.association import associations, cosine_similarities, weat

SEEDS = st.integers(0, 10_000)


def vectors(seed: int, words: int = 16, sentences: int = 2, dimensions: int = 5) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(words, sentences, dimensions))


def outcome(words: NDArray[np.float64]) -> tuple[float, float, float]:
    cosines = cosine_similarities(words)
    of_targets = associations(cosines[:8, 8:12], cosines[:8, 12:])
    found = weat(of_targets[:4], of_targets[4:], seed=0)
    return found.effect_size, found.statistic, found.p_value


def test_an_effect_by_hand() -> None:
    # Means 3 and 1; both together 1, 2, 3, 5, 0, 1 around 2 with squares 1 + 0 + 1 + 9 + 4 + 1 = 16 over 5.
    found = weat([2.0, 2.0, 5.0], [0.0, 1.0, 2.0], seed=0)
    assert found.statistic == 6
    both = [2, 2, 5, 0, 1, 2]
    assert found.effect_size == pytest.approx((3 - 1) / math.sqrt(sum((v - 2) ** 2 for v in both) / 5))
    assert (found.splits, found.exact) == (20, True)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-6, 6), min_size=8, max_size=8).filter(lambda values: len(set(values)) > 1))
def test_p_of_four_and_four_is_the_share_of_70_splits_by_brute_force(values: list[int]) -> None:
    x, y = values[:4], values[4:]
    sums = [sum(values[i] for i in chosen) for chosen in combinations(range(8), 4)]
    k = sum(total >= sum(x) for total in sums)
    found = weat(np.array(x) / 8, np.array(y) / 8, seed=0)
    assert found.p_value == pytest.approx(k / 70, abs=1e-15)
    assert found.exact


def test_the_best_split_of_four_and_four_has_p_one_in_70() -> None:
    found = weat([0.5, 0.4, 0.3, 0.2], [0.1, 0.0, -0.1, -0.2], seed=0)
    assert found.p_value == pytest.approx(1 / 70)


def test_beyond_20000_splits_some_are_drawn_with_the_correction() -> None:
    rng = np.random.default_rng(0)
    found = weat(rng.normal(9, 1, 9), rng.normal(0, 1, 9), seed=0)
    assert math.comb(18, 9) > 20_000
    assert (found.splits, found.exact) == (9_999, False)
    assert found.p_value == pytest.approx(1 / 10_000)


def test_without_variance_the_effect_is_undefined_and_every_split_as_good() -> None:
    found = weat([0.25] * 4, [0.25] * 4, seed=0)
    assert math.isnan(found.effect_size)
    assert (found.statistic, found.p_value) == (0, 1)


def test_a_word_without_direction_makes_everything_undefined() -> None:
    words = vectors(0)
    words[3, 1] = 0
    assert all(map(math.isnan, outcome(words)))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(1e-3, 1e3))
def test_rotation_and_scale_change_nothing(seed: int, scale: float) -> None:
    words = vectors(seed)
    rng = np.random.default_rng(seed + 1)
    rotation, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    lengths = rng.uniform(0.1, 10, (*words.shape[:2], 1))  # of each vector by itself
    assert outcome(scale * lengths * (words @ rotation)) == pytest.approx(outcome(words), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_exchanging_targets_or_attributes_changes_the_sign_alone(seed: int) -> None:
    words = vectors(seed)
    d = outcome(words)[0]
    assert -2 <= d <= 2
    assert outcome(words[[*range(4, 8), *range(4), *range(8, 16)]])[0] == pytest.approx(-d)
    assert outcome(words[[*range(8), *range(12, 16), *range(8, 12)]])[0] == pytest.approx(-d)


def test_a_cosine_is_averaged_over_every_sentence_with_every_sentence() -> None:
    words = vectors(3, words=2)
    one, other = words / np.linalg.norm(words, axis=-1, keepdims=True)
    expected = np.mean([a @ b for a in one for b in other])
    assert cosine_similarities(words)[0, 1] == pytest.approx(expected)


def test_odd_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="words by sentences by dimensions"):
        cosine_similarities([[1.0, 2.0]])
    with pytest.raises(ValueError, match="equally many words"):
        weat([1.0, 2.0], [1.0, 2.0, 3.0], seed=0)
