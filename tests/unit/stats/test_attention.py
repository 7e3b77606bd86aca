"""Attention entropy and the share of the first token, on weights known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.stats.attention import attention_entropy, first_token_attention, uniform_first_token_attention


def uniform(tokens: int, heads: int = 2) -> list[list[list[float]]]:
    return [[[(key <= query) / (query + 1) for key in range(tokens)] for query in range(tokens)]] * heads


@pytest.mark.parametrize("tokens", [2, 3, 30])
def test_uniform_attention_has_entropy_1(tokens: int) -> None:
    assert attention_entropy(uniform(tokens)) == pytest.approx(1.0)
    assert first_token_attention(uniform(tokens)) == pytest.approx(uniform_first_token_attention(tokens))


def test_attention_to_the_first_token_alone_has_entropy_0() -> None:
    sink = np.zeros((3, 5, 5))
    sink[:, :, 0] = 1
    assert attention_entropy(sink) == 0
    assert first_token_attention(sink) == 1


def test_two_tokens_by_hand() -> None:
    # The second token looks at the first with a quarter of its attention in one head, with half in the other.
    weights = [[[1.0, 0.0], [0.25, 0.75]], [[1.0, 0.0], [0.5, 0.5]]]
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) / math.log(2)
    assert attention_entropy(weights) == pytest.approx((entropy + 1) / 2)
    assert first_token_attention(weights) == pytest.approx(0.375)
    assert uniform_first_token_attention(3) == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_what_a_sink_outside_the_text_takes_does_not_lower_the_entropy() -> None:
    assert attention_entropy(np.array(uniform(4)) * 0.3) == pytest.approx(1.0)


def test_one_token_has_no_choice() -> None:
    assert math.isnan(attention_entropy([[[1.0]]]))
    assert math.isnan(first_token_attention([[[1.0]]]))
    assert math.isnan(uniform_first_token_attention(1))


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"heads by queries by keys are needed, not of shape \(2, 3\)"):
        attention_entropy(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"shape \(1, 2, 3\)"):
        first_token_attention(np.zeros((1, 2, 3)))


@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_both_lie_between_0_and_1_and_heads_are_exchangeable(tokens: int, heads: int, seed: int) -> None:
    weights = np.tril(np.random.default_rng(seed).random((heads, tokens, tokens)) + 1e-9)
    weights /= weights.sum(axis=-1, keepdims=True)
    for measure in (attention_entropy, first_token_attention):
        assert -1e-9 <= measure(weights) <= 1 + 1e-9
        assert measure(weights[::-1]) == pytest.approx(measure(weights))
