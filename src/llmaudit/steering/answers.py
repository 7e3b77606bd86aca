"""From answers to numbers: one per answer of everything that steering may change."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from llmaudit.masking import Mask
from llmaudit.scorers.answers import Empty, Refusal
from llmaudit.scorers.base import Scorer
from llmaudit.stats import coherence
from llmaudit.steering.stimuli import Words
from llmaudit.steering.words import words_of
from llmaudit.types import Completion, Likelihood, Sample, Score

__all__ = ["MASK", "Numbers", "log_perplexities", "masks_of", "numbers_of", "repetition"]

Array = NDArray[np.float64]

#: What stands for a masked word. It is no word of VADER's lexicon, none of its rules knows it, and since it takes the
#: word's place, the words around it keep their distance: a negation reaches no further than before.
MASK = "something"
#: Words in a run that may be repeated.
_GRAM = 4


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers of every answer; each array has shape (answers,), with NaN where an answer has none."""

    raw: Array
    """The score of the answer as it is."""
    masked: Mapping[str, Array]
    """Side -> the score with that side's words masked."""
    listed: Mapping[str, Array]
    """Side -> the share of the answer's words that are of that side's list."""
    log_perplexity: Array
    """Under the unsteered model, in nats per token."""
    repetition: Array
    words: Array
    refused: Array
    empty: Array


def masks_of(words: Words) -> dict[str, Mask]:
    """Side -> what masks the words of its list."""
    return {side: Mask(listed, MASK) for side, listed in words.lists().items()}


def numbers_of(
    samples: Sequence[Sample],
    scorer: Scorer,
    masks: Mapping[str, Mask],
    costs: Mapping[tuple[str, str], float],
    *,
    mask: bool,
) -> Numbers:
    """Measure every answer.

    `costs` is what `log_perplexities` returns. A refusal or an empty answer has nothing to read for a scorer that
    reads what a text says: it counts as missing there, and as what it is in its own number.
    """
    answers = [sample.response.text if isinstance(sample.response, Completion) else None for sample in samples]
    prompts = [sample.request.cluster for sample in samples]
    refused = _each(answers, lambda text: Refusal().score([text])[0])
    hidden = {side: mask_.apply([text or "" for text in answers]) for side, mask_ in masks.items()}
    scored = _scorer(
        scorer, [*(text or "" for text in answers), *(text for texts in hidden.values() for text in texts)]
    )
    lost = np.array([text is None for text in answers], dtype=np.bool_)
    if scorer.sees_terms:
        lost |= refused > 0

    def score(texts: Sequence[str | None]) -> Array:
        values = np.array([scored[text or ""] for text in texts], dtype=np.float64)
        values[lost] = np.nan
        return values

    raw = score(answers)
    masking = mask and scorer.sees_terms
    return Numbers(
        raw=raw,
        masked={side: score(texts) if masking else raw for side, texts in hidden.items()},
        listed={side: _each(answers, partial(_listed, mask=mask_)) for side, mask_ in masks.items()},
        log_perplexity=np.array(
            [costs.get((prompt, text or ""), math.nan) for prompt, text in zip(prompts, answers, strict=True)]
        ),
        repetition=_each(answers, repetition),
        words=_each(answers, lambda text: float(len(words_of(text)))),
        refused=refused,
        empty=_each(answers, lambda text: Empty().score([text])[0]),
    )


def log_perplexities(samples: Sequence[Sample]) -> dict[tuple[str, str], float]:
    """(prompt, answer) -> mean negative log-likelihood of the answer after the prompt, in nats per token."""
    found: dict[tuple[str, str], float] = {}
    for sample in samples:
        request, response = sample.request, sample.response
        if isinstance(request, Score) and isinstance(response, Likelihood) and response.tokens:
            found[request.context, request.continuation] = -response.logprob / response.tokens
    return found


def repetition(text: str) -> float:
    """Share of a text's 4-grams of words that stand there already: 1 - distinct/all (Welleck et al. 2020, seq-rep-4).

    In [0, 1). A text without words has none: NaN; one of fewer than four words repeats nothing.
    """
    words = [word.casefold() for word in words_of(text)]
    return 0.0 if 0 < len(words) < _GRAM else coherence.repetition(words, _GRAM)


def _listed(text: str, mask: Mask) -> float:
    words = len(words_of(text))
    # Of a compound each part may be of the list, and it is one word.
    return min(1.0, mask.found(text) / words) if words else math.nan


def _each(answers: Sequence[str | None], number: Callable[[str], float]) -> Array:
    return np.array([math.nan if text is None else number(text) for text in answers], dtype=np.float64)


def _scorer(scorer: Scorer, texts: Sequence[str]) -> dict[str, float]:
    """Score every distinct text once: masking leaves most of them as they are."""
    distinct = list(dict.fromkeys(texts))
    return dict(zip(distinct, scorer.score(distinct), strict=True))
