"""Biases on the logits: of single tokens, and of words, whose later tokens count only behind their earlier ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from llmaudit.types import Sampling

__all__ = ["TokenBias", "WordBias"]

WordBiases = tuple[tuple[tuple[int, ...], float], ...]


class WordBias:
    """A trie of words: which token is biased depends on what has just been drawn.

    A word that takes several tokens lends its bias to its first token everywhere, and to a later one only behind those
    before it, so that a fragment which ends many other words is left alone.
    """

    def __init__(self, words: WordBiases) -> None:
        self.first: dict[int, float] = {}
        """Token -> nats, wherever the completion stands."""
        self._behind: dict[tuple[int, ...], dict[int, float]] = {}
        for tokens, nats in words:
            for place, token in enumerate(tokens):
                table = self._behind.setdefault(tokens[:place], {}) if place else self.first
                table[token] = _stronger(table.get(token, 0.0), nats)
        self._longest = max(map(len, self._behind), default=0)

    def more(self, drawn: Sequence[int]) -> dict[int, float]:
        """What is added to `first` behind these tokens: token -> nats."""
        found: dict[int, float] = {}
        for length in range(1, min(self._longest, len(drawn)) + 1):
            for token, nats in self._behind.get(tuple(drawn[-length:]), {}).items():
                found[token] = _stronger(found.get(token, 0.0), nats)
        already = {token: self.first.get(token, 0.0) for token in found}
        return {token: _stronger(already[token], nats) - already[token] for token, nats in found.items()}


class TokenBias:
    """What one row's sampling adds to the logits, divided by its temperature as they are."""

    def __init__(self, sampling: Sampling, device: torch.device) -> None:
        self._words = WordBias(sampling.word_bias)
        self._scale = 1.0 / (sampling.temperature or 1.0)
        fixed = [*sampling.logit_bias, *self._words.first.items()]
        self.tokens = torch.tensor([token for token, _ in fixed], dtype=torch.int64, device=device)
        self.values = torch.tensor([nats * self._scale for _, nats in fixed], dtype=torch.float32, device=device)
        self.moves = bool(sampling.word_bias)
        """Whether it depends on what has been drawn."""

    def behind(self, drawn: Sequence[int]) -> Iterator[tuple[int, float]]:
        """What is added besides, behind these tokens."""
        return ((token, nats * self._scale) for token, nats in self._words.more(drawn).items())


def _stronger(one: float, other: float) -> float:
    return one if abs(one) >= abs(other) else other
