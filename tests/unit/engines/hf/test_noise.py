"""The noise of the exponential race: exact in distribution, and a function of its key alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from llmaudit.engines.hf import noise
from llmaudit.engines.hf.noise import exponential_race, row_key


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on many rows at a time: the tests have more rows and fewer tokens than a model."""
    monkeypatch.setattr(noise, "_ROWS", 1 << 17)


def keys(rows: int, *, seed: int = 0, stream: str = "prompt") -> torch.Tensor:
    return torch.tensor([row_key(seed, stream, sample) for sample in range(rows)], dtype=torch.int32)


def race(logits: torch.Tensor, rows: torch.Tensor, step: int = 0) -> NDArray[np.int64]:
    steps = torch.full((len(rows),), step, dtype=torch.int32)
    found: NDArray[np.int64] = exponential_race(logits.expand(len(rows), -1), rows, steps).numpy()
    return found


def exponentials(rows: torch.Tensor, steps: torch.Tensor, tokens: int) -> NDArray[np.float64]:
    """The noise itself, shape (rows, tokens), by the race's own formula."""
    words = torch.arange(tokens, dtype=torch.int32).mul_(noise._SPREAD) + rows[:, :1]
    step_words = noise._hash(steps.mul(noise._SPREAD).add_(rows[:, 1]))
    mixed = noise._hash(words.bitwise_xor_(step_words[:, None]))
    return noise._exponential(mixed).double().numpy()


def correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(stats.spearmanr(one, other).statistic)


def test_a_million_draws_have_the_probabilities_that_they_should(wide: None) -> None:
    # Keys are made of counters here: making a million of them by hashing strings takes longer than the draws.
    draws = 1_000_000
    probabilities = np.array([0.4, 0.25, 0.15, 0.1, 0.05, 0.03, 0.015, 0.004, 0.0009, 0.0001])
    counters = torch.arange(draws, dtype=torch.int32)
    rows = torch.stack([counters * 2654435, counters], dim=1)
    found = race(torch.tensor(np.log(probabilities), dtype=torch.float32), rows)
    counts = np.bincount(found, minlength=10)
    assert stats.chisquare(counts, probabilities * draws).pvalue > 0.001


@pytest.mark.parametrize("varied", ["samples", "steps", "streams", "seeds"])
def test_whatever_varies_the_draws_follow_the_distribution(wide: None, varied: str) -> None:
    draws = 20_000
    probabilities = np.array([0.5, 0.3, 0.15, 0.05])
    logits = torch.tensor(np.log(probabilities), dtype=torch.float32).expand(draws, -1)
    numbers = range(draws)
    key: dict[str, Callable[[int], noise.RowKey]] = {
        "samples": lambda number: row_key(7, "p", number),
        "steps": lambda _: row_key(7, "p", 0),
        "streams": lambda number: row_key(7, f"In town {number},", 0),
        "seeds": lambda number: row_key(number, "p", 0),
    }
    rows = torch.tensor([key[varied](number) for number in numbers], dtype=torch.int32)
    steps = torch.arange(draws, dtype=torch.int32) if varied == "steps" else torch.zeros(draws, dtype=torch.int32)
    counts = np.bincount(exponential_race(logits, rows, steps).numpy(), minlength=4)
    assert stats.chisquare(counts, probabilities * draws).pvalue > 0.001


def test_the_noise_is_exponential(wide: None) -> None:
    found = exponentials(keys(50), torch.zeros(50, dtype=torch.int32), 2000).ravel()
    assert stats.kstest(found, "expon").pvalue > 0.001
    assert found.min() > 0
    assert np.isfinite(found).all()


def test_the_hashed_words_are_uniform_in_every_bit() -> None:
    words = noise._hash(torch.arange(1 << 20, dtype=torch.int32)).numpy().view(np.uint32)
    assert len(np.unique(words)) == len(words)  # a mixing step that loses words would bias every draw
    assert stats.kstest(words / 2**32, "uniform").pvalue > 0.001
    ones = np.array([((words >> bit) & 1).sum() for bit in range(32)])
    assert (np.abs(ones - len(words) / 2) < 4.5 * math.sqrt(len(words) / 4)).all()


def test_one_flipped_bit_of_a_word_flips_about_half_of_the_hash() -> None:
    words = torch.arange(20_000, dtype=torch.int32) * 7919
    plain = noise._hash(words.clone()).numpy().view(np.uint32)
    for bit in range(32):
        flipped = words ^ torch.tensor((1 << bit) - ((1 << 32) if bit == 31 else 0), dtype=torch.int32)
        differing = plain ^ noise._hash(flipped).numpy().view(np.uint32)
        shares = np.array([((differing >> place) & 1).mean() for place in range(32)])
        assert np.abs(shares - 0.5).max() < 0.05


@pytest.mark.parametrize("axis", ["tokens", "steps", "rows", "seeds"])
def test_neighbours_are_not_correlated(axis: str) -> None:
    # 200 x 200 pairs: the standard error of a correlation is .005.
    if axis == "steps":
        rows, steps = keys(1).expand(200, -1).contiguous(), torch.arange(200, dtype=torch.int32)
    elif axis == "seeds":
        rows = torch.tensor([row_key(seed, "p", 0) for seed in range(200)], dtype=torch.int32)
        steps = torch.zeros(200, dtype=torch.int32)
    else:
        rows, steps = keys(200), torch.zeros(200, dtype=torch.int32)
    found = exponentials(rows, steps, 200)
    one, other = (found[:, :-1], found[:, 1:]) if axis == "tokens" else (found[:-1], found[1:])
    assert abs(correlation(one.ravel(), other.ravel())) < 0.025


def test_two_rows_never_share_their_noise_shifted_by_tokens() -> None:
    # Row key and token are added before they are mixed: two rows whose keys differ by a multiple of the spread would
    # draw the same noise for shifted tokens, were the step not mixed in with the other half of the key.
    rows = torch.tensor([[0, 1], [noise._SPREAD, 2]], dtype=torch.int32)
    found = exponentials(rows, torch.zeros(2, dtype=torch.int32), 500)
    assert abs(correlation(found[0, 1:], found[1, :-1])) < 0.15


def test_the_same_key_step_and_token_give_the_same_draw_in_any_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(23, 301, generator=generator)
    rows = keys(23)
    steps = torch.arange(23, dtype=torch.int32) % 5
    whole = exponential_race(logits, rows, steps)
    one_by_one = [exponential_race(logits[n : n + 1], rows[n : n + 1], steps[n : n + 1]).item() for n in range(23)]
    order = torch.randperm(23, generator=generator)
    assert whole.tolist() == one_by_one
    assert exponential_race(logits[order], rows[order], steps[order]).tolist() == whole[order].tolist()


def test_rows_worked_on_at_a_time_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(9, 50, generator=torch.Generator().manual_seed(1))
    found = []
    for rows in (1, 4, 9, 100):
        monkeypatch.setattr(noise, "_ROWS", rows)
        found.append(exponential_race(logits, keys(9), torch.zeros(9, dtype=torch.int32)).tolist())
    assert found == [found[0]] * 4


def test_the_arguments_are_left_as_they_were() -> None:
    logits, rows, steps = torch.randn(5, 20), keys(5), torch.arange(5, dtype=torch.int32)
    before = [tensor.clone() for tensor in (logits, rows, steps)]
    exponential_race(logits, rows, steps)
    assert all(torch.equal(now, then) for now, then in zip((logits, rows, steps), before, strict=True))


def test_tokens_of_tiny_probability_can_be_drawn(wide: None) -> None:
    # 31 tokens of 4e-8 each beside one of nearly 1: a uniform number of 24 bits could draw none of them, ever.
    tail, draws = 4e-8, 4_000_000
    logits = torch.log(torch.tensor([1 - 31 * tail, *[tail] * 31]))
    counters = torch.arange(draws, dtype=torch.int32)
    drawn = race(logits, torch.stack([counters * 40503, counters], dim=1))
    expected = 31 * tail * draws  # about 5
    found = int((drawn > 0).sum())
    assert stats.poisson.cdf(found, expected) > 0.001
    assert stats.poisson.sf(found - 1, expected) > 0.001
    assert found > 0


def test_the_smallest_noise_uses_all_31_bits() -> None:
    expected = [-math.log1p(-(word + 0.5) / 2**31) for word in (0, 1, 2, 1000)]
    found = noise._exponential(torch.tensor([0, 1, 2, 1000], dtype=torch.int32))
    assert found.tolist() == pytest.approx(expected, rel=1e-6)
    assert found.min() > 0


def test_the_largest_noise_never_wins() -> None:
    # All bits set, and the largest word that is not rounded up.
    largest, next_ = noise._exponential(torch.tensor([-1, 2**31 - 129], dtype=torch.int32)).tolist()
    assert largest == math.inf
    assert 15 < next_ < 25


def test_excluded_tokens_are_never_drawn(wide: None) -> None:
    logits = torch.tensor([0.0, -torch.inf, 1.0, -torch.inf])
    assert set(race(logits, keys(5000)).tolist()) == {0, 2}


def test_a_certain_token_is_always_drawn() -> None:
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf])
    assert set(race(logits, keys(100)).tolist()) == {1}


def test_row_keys_are_words_of_32_bits_and_differ_by_everything() -> None:
    found = [
        row_key(seed, stream, sample)
        for seed, stream, sample in itertools.product(range(5), ("a", "b", "", "1"), range(20))
    ]
    assert len(set(found)) == len(found)
    assert all(-(2**31) <= half < 2**31 for key in found for half in key)
    assert row_key(0, "a", 1) == row_key(0, "a", 1)


def test_a_seed_and_a_stream_that_look_alike_are_not_mixed_up() -> None:
    assert row_key(1, "1", 0) != row_key(11, "", 0)
    assert row_key(0, "a1", 0) != row_key(0, "a", 10)
