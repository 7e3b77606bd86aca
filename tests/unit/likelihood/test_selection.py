from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from llmaudit.datasets import Pair
from llmaudit.likelihood import chosen

PAIRS = [Pair(c, f"{w}", f"more {c} {w} {n}", "less", "p") for c in "ab" for w in range(5) for n in range(4)]


@given(st.integers(1, 30), st.integers(0, 1000))
def test_a_limit_holds_per_category_and_keeps_whole_clusters(limit: int, seed: int) -> None:
    kept = chosen(PAIRS, limit, seed)
    assert Counter(pair.category for pair in kept) == {"a": min(limit, 20), "b": min(limit, 20)}
    assert [pair for pair in PAIRS if pair in kept] == list(kept)
    sizes = Counter((pair.category, pair.cluster) for pair in kept)
    for category in "ab":
        broken = [size for (own, _), size in sizes.items() if own == category and size < 4]
        assert len(broken) <= 1
    assert kept == chosen(PAIRS, limit, seed)


def test_without_a_limit_everything_is_kept() -> None:
    assert chosen(PAIRS, None, 0) == tuple(PAIRS)


def test_another_seed_draws_other_clusters() -> None:
    assert len({chosen(PAIRS, 4, seed) for seed in range(20)}) > 5
