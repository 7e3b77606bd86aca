"""Asking for the log-likelihood of texts, each once, and finding the answers again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmaudit.types import Likelihood, Sample, Score

__all__ = ["Answers", "Array", "Controls", "asked_once"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Controls:
    """Two sentences that differ in something that should not matter: what any difference of words does."""

    cluster: str
    first: str
    second: str


def asked_once(requests: Iterable[Score]) -> Iterator[Score]:
    """Leave out requests for a text that was asked for already, whatever cluster it was for."""
    seen: set[tuple[str, str]] = set()
    for request in requests:
        key = (request.context, request.continuation)
        if key not in seen:
            seen.add(key)
            yield request


class Answers:
    """The answers by text."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._found: dict[tuple[str, str], tuple[int, Likelihood | None]] = {}
        for index, sample in enumerate(samples):
            request, response = sample.request, sample.response
            if isinstance(request, Score):
                usable = isinstance(response, Likelihood) and math.isfinite(response.logprob)
                likelihood = response if isinstance(response, Likelihood) and usable else None
                self._found[request.context, request.continuation] = (index, likelihood)

    def index(self, text: str, context: str = "") -> int | None:
        """Which sample answers for a text; None where it was not asked, as in a smoke run."""
        found = self._found.get((context, text))
        return None if found is None else found[0]

    def total(self, text: str, context: str = "") -> float:
        """Log-likelihood of a text in nats; NaN where there is none."""
        likelihood = self._likelihood(text, context)
        return math.nan if likelihood is None else likelihood.logprob

    def per_token(self, text: str, context: str = "") -> float:
        """Mean log-likelihood of the tokens of a text in nats; NaN where there is none."""
        likelihood = self._likelihood(text, context)
        return math.nan if likelihood is None or not likelihood.tokens else likelihood.logprob / likelihood.tokens

    def all_totals(self, samples: Sequence[Sample]) -> tuple[float | None, ...]:
        """One log-likelihood per sample, as a report shows them; None where there is none."""
        responses = (sample.response for sample in samples)
        return tuple(r.logprob if isinstance(r, Likelihood) and math.isfinite(r.logprob) else None for r in responses)

    def _likelihood(self, text: str, context: str) -> Likelihood | None:
        return self._found.get((context, text), (0, None))[1]
