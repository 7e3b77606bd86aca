"""What is measured of a set of answers: how different they are, and what that costs in coherence."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from llmaudit.diversity.answer_sets import Answer
from llmaudit.diversity.levels import Measure
from llmaudit.stats import coherence, diversity
from llmaudit.types import Likelihood

__all__ = ["ANSWERS", "DIVERSITY", "LOSS", "SEMANTIC", "diversity_values", "loss_values", "plain_words"]

Array = NDArray[np.float64]

#: How different the answers to one prompt are.
DIVERSITY = (
    Measure("distinct_1", "unique words over all words of a prompt's answers", "proportion", "higher", bound=1),
    Measure(
        "distinct_2", "unique word pairs over all word pairs of a prompt's answers", "proportion", "higher", bound=1
    ),
    Measure("distinct_3", "unique word triples over all of a prompt's answers", "proportion", "higher", bound=1),
    Measure("ead", "unique tokens over those expected of uniform draws (EAD)", "ratio", "higher"),
    Measure("self_bleu", "mean BLEU of an answer against the other answers to its prompt", "BLEU points", "lower"),
    Measure("compression_ratio", "size of a prompt's answers over their size under gzip", "ratio", "lower"),
    Measure("self_repetition", "log of 1 plus the 4-grams of an answer that another one has too", "nats", "lower"),
    Measure("vendi", "effective number of different answers to a prompt, by their n-grams", "answers", "higher"),
    Measure("pairwise_distance", "mean distance of two answers to a prompt, by their n-grams", "1 - cosine", "higher"),
    Measure(
        "duplicates", "share of answers that another answer to the prompt equals", "proportion", "lower", events=True
    ),
)
#: The same with a sentence encoder in place of n-grams.
SEMANTIC = Measure(
    "vendi_semantic", "effective number of different answers to a prompt, by a sentence encoder", "answers", "higher"
)
#: What may be lost as answers grow more different, of each answer's text.
LOSS = (
    Measure("log_perplexity", "log-perplexity of the answers under the model at temperature 1", "nats/token", "lower"),
    Measure(
        "split_words", "share of words that the vocabulary does not hold as one token", "proportion", "lower", bound=0
    ),
    Measure("undecodable", "share of answers with characters that are none", "proportion", "lower", events=True),
    Measure(
        "repetition", "share of an answer's 4-grams of tokens that it had before", "proportion", "lower", events=True
    ),
    Measure("script_drift", "share of letters outside the prompt's script", "proportion", "lower", events=True),
)
#: The same, of whether there is a text at all.
ANSWERS = (
    Measure("empty", "share of answers without any text", "proportion", "lower", events=True),
    Measure("short", "share of answers that end before the length compared", "proportion", "lower", events=True),
)


def diversity_values(
    answers: Sequence[Answer], vocabulary: int | None, vectors: Mapping[str, Array] | None
) -> dict[str, float]:
    """Measure how different the answers of one set are, by the names of DIVERSITY.

    EAD is NaN without the size of the `vocabulary`. With `vectors` of length 1, text -> shape (dimensions,), SEMANTIC
    is measured too.
    """
    texts = [answer.text for answer in answers]
    ids = [answer.ids for answer in answers]
    kernel = diversity.ngram_kernel(texts)
    found = {
        **{f"distinct_{n}": diversity.distinct(texts, n) for n in (1, 2, 3)},
        "ead": diversity.expectation_adjusted_distinct(ids, vocabulary) if vocabulary and all(ids) else math.nan,
        "self_bleu": diversity.self_bleu(texts),
        "compression_ratio": diversity.compression_ratio(texts),
        "self_repetition": diversity.self_repetition(texts),
        "vendi": diversity.vendi(kernel),
        "pairwise_distance": diversity.pairwise_distance(kernel),
        "duplicates": diversity.duplicates(texts),
    }
    if vectors is not None:
        rows = np.stack([vectors[text] for text in texts])
        found[SEMANTIC.name] = diversity.vendi(rows @ rows.T)
    return found


def loss_values(
    answers: Sequence[Answer],
    prompt: str,
    likelihoods: Mapping[str, Likelihood],
    whole: Mapping[str, bool],
) -> dict[str, float]:
    """Measure what the answers of one set have lost, by the names of LOSS.

    `likelihoods`: text -> its likelihood after the prompt. `whole`: word -> whether the vocabulary holds it, with a
    space before it, as one token. NaN for what none of the answers has.
    """
    texts = [answer.text for answer in answers]
    scored = [likelihoods[text] for text in texts if text in likelihoods]
    tokens = sum(each.tokens for each in scored)
    known = [whole[word] for text in texts for word in plain_words(text) if word in whole]
    script = coherence.main_script(prompt)
    drift = partial(coherence.script_drift, script=script) if script else lambda _: math.nan
    return {
        "log_perplexity": -sum(each.logprob for each in scored) / tokens if tokens else math.nan,
        "split_words": 1 - sum(known) / len(known) if known else math.nan,
        "undecodable": _mean(float(coherence.undecodable(text)) for text in texts),
        "repetition": _mean(coherence.repetition(answer.ids or answer.text.split()) for answer in answers),
        "script_drift": _mean(map(drift, texts)),
    }


def plain_words(text: str) -> list[str]:
    """Return the words of a text that are letters alone, as they are written, without the punctuation at their ends."""
    stripped = (word.strip("".join(filter(_is_mark, word))) for word in text.split())
    return [word for word in stripped if word and all(unicodedata.category(each)[0] in "LM" for each in word)]


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _mean(values: Iterable[float]) -> float:
    """Mean of the numbers among the values; NaN where there is none."""
    kept = [value for value in values if not math.isnan(value)]
    return sum(kept) / len(kept) if kept else math.nan
