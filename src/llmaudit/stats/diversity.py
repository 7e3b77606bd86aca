"""Diversity of a set of answers to one prompt: pure functions on texts.

All of them depend on the number and the length of the texts, so that they are compared at equal number and length only
(docs of each). Words are those of `words`, n-grams never cross the border of a text.
"""

from __future__ import annotations

import gzip
import math
import unicodedata
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "compression_ratio",
    "distinct",
    "duplicates",
    "expectation_adjusted_distinct",
    "ngram_kernel",
    "ngrams",
    "pairwise_distance",
    "self_bleu",
    "self_bleu_signature",
    "self_repetition",
    "vendi",
    "words",
]

Array = NDArray[np.float64]

#: Share of the trace below which an eigenvalue is rounding of the arithmetic.
_ROUNDING = 1e-12


def words(text: str) -> tuple[str, ...]:
    """Return the words between white space, casefolded, without punctuation and symbols at their ends.

    What is nothing but punctuation stays as it is. A script without spaces gives one word per run of characters.
    """
    return tuple(_bare(word) for word in text.casefold().split())


def ngrams(tokens: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    """Return the runs of n tokens, in order; none where there are fewer than n."""
    return [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]


def distinct(texts: Sequence[str], n: int) -> float:
    """Return distinct-n, unique n-grams of words over all n-grams of a set, in (0, 1] (Li et al. 2016, section 5.1).

    It falls with the total length of the set. NaN where no text has n words.
    """
    found = list(chain.from_iterable(ngrams(words(text), n) for text in texts))
    return len(set(found)) / len(found) if found else math.nan


def expectation_adjusted_distinct(ids: Sequence[Sequence[int]], vocabulary: int) -> float:
    """Return EAD, unique tokens over the number expected of as many uniform draws (Liu et al. 2022, equation 3).

    N / (V (1 - ((V - 1)/V)^C)) with N unique among C tokens of all texts and a vocabulary of V tokens: distinct-1
    without its bias against long sets. At least 0, and above 1 only by the luck of the draw. NaN without tokens. Raises
    ValueError for a vocabulary below 2.
    """
    if vocabulary < 2:
        raise ValueError(f"a vocabulary of {vocabulary} tokens: at least 2 are needed")
    tokens = list(chain.from_iterable(ids))
    # log1p and expm1, since (V - 1)/V is 1 but for a few digits.
    expected = -vocabulary * math.expm1(len(tokens) * math.log1p(-1 / vocabulary))
    return len(set(tokens)) / expected if tokens else math.nan


def self_bleu(texts: Sequence[str]) -> float:
    """Return the mean BLEU of each text against all others, in [0, 100] (Zhu et al. 2018, "Texygen", section 3.2).

    As sacrebleu computes it for one sentence, with exponential smoothing (`self_bleu_signature`). 100 for identical
    texts of four tokens or more. NaN for fewer than 2 texts.
    """
    if len(texts) < 2:
        return math.nan
    scorer = _bleu()
    others = ([*texts[:index], *texts[index + 1 :]] for index in range(len(texts)))
    scores = [scorer.sentence_score(text, rest).score for text, rest in zip(texts, others, strict=True)]
    return float(np.mean(scores))


def self_bleu_signature(texts: int) -> str:
    """Return sacrebleu's signature of `self_bleu` for sets of so many texts, at least 2: what to cite beside it."""
    scorer = _bleu()
    scorer.sentence_score("a", ["a"] * (texts - 1))
    return str(scorer.get_signature())


def compression_ratio(texts: Sequence[str]) -> float:
    """Return the size of the texts, one a line, over their size under gzip -9 (Shaib et al. 2024, section 3).

    Larger means more repetitive; a short set gives less than 1, as the format has some 20 bytes of its own. NaN where
    there is no text.
    """
    data = "\n".join(texts).encode("utf-8", "surrogatepass")
    return len(data) / len(gzip.compress(data, compresslevel=9, mtime=0)) if data else math.nan


def self_repetition(texts: Sequence[str], n: int = 4) -> float:
    """Return the mean over texts of ln(1 + number of its n-grams of words that another text has too), in nats.

    Salkar et al. 2022, "Self-repetition in abstractive neural summarizers", as Shaib et al. 2024 use it. Texts without
    n words have none. NaN for fewer than 2 texts.
    """
    if len(texts) < 2:
        return math.nan
    found = [ngrams(words(text), n) for text in texts]
    owners = Counter(chain.from_iterable(set(each) for each in found))
    return float(np.mean([math.log1p(sum(owners[gram] > 1 for gram in each)) for each in found]))


def duplicates(texts: Sequence[str]) -> float:
    """Return the share of texts in [0, 1] that another one equals but for white space. NaN for fewer than 2 texts."""
    if len(texts) < 2:
        return math.nan
    counts = Counter(" ".join(text.split()) for text in texts)
    return sum(count for count in counts.values() if count > 1) / len(texts)


def ngram_kernel(texts: Sequence[str]) -> Array:
    """Return how alike texts are in [0, 1], shape (texts, texts): the mean cosine of their word and word-pair counts.

    The kernel of Friedman and Dieng 2022, section 5.3: one cosine per n in {1, 2}, averaged; a text of one word has no
    pairs and is compared by its word alone. Positive semi-definite, with ones on the diagonal.
    """
    if not texts:
        return np.zeros((0, 0))
    split = [words(text) for text in texts]
    blocks = [_unit_rows(_counts([ngrams(each, n) for each in split])) for n in (1, 2)]
    # Blocks of equal weight side by side: their cosine is the mean of the cosines of the blocks.
    rows = _unit_rows(np.hstack(blocks))
    kernel = rows @ rows.T
    np.fill_diagonal(kernel, 1.0)
    return np.clip(kernel, 0.0, 1.0)


def vendi(kernel: Array) -> float:
    """Return the Vendi score exp(-sum l ln l), l the eigenvalues of K/n (Friedman and Dieng 2022, equation 1).

    The effective number of different items, in [1, n]: 1 where all are alike, n where none is like another. It grows
    with n, and is compared at equal n only. `kernel` has shape (n, n), is positive semi-definite and has ones on its
    diagonal. NaN for no item.
    """
    if not len(kernel):
        return math.nan
    values = np.linalg.eigvalsh(kernel / len(kernel))
    values = values[values > _ROUNDING]
    return float(np.exp(-(values * np.log(values)).sum()))


def pairwise_distance(kernel: Array) -> float:
    """Return 1 minus the mean similarity of two different items. NaN for fewer than 2 items."""
    above = np.triu_indices(len(kernel), 1)
    return float(1 - kernel[above].mean()) if len(kernel) > 1 else math.nan


def _bare(word: str) -> str:
    inside = [index for index, character in enumerate(word) if unicodedata.category(character)[0] not in "PS"]
    return word[inside[0] : inside[-1] + 1] if inside else word


def _counts(grams: Sequence[Sequence[Hashable]]) -> Array:
    places = {gram: place for place, gram in enumerate(dict.fromkeys(chain.from_iterable(grams)))}
    table = np.zeros((len(grams), len(places)))
    for row, each in enumerate(grams):
        for gram in each:
            table[row, places[gram]] += 1
    return table


def _unit_rows(table: Array) -> Array:
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(np.divide(table, lengths, out=np.zeros_like(table), where=lengths > 0))


def _bleu() -> Any:
    # A tenth of a second that other kinds do not need.
    from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415

    return BLEU(smooth_method="exp", effective_order=True)
