"""Measures of diversity on texts whose values can be worked out by hand."""

from __future__ import annotations

import gzip
import math
from collections import Counter

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.stats.diversity import (
    compression_ratio,
    distinct,
    duplicates,
    expectation_adjusted_distinct,
    ngram_kernel,
    ngrams,
    pairwise_distance,
    self_bleu,
    self_bleu_signature,
    self_repetition,
    vendi,
    words,
)

UNRELATED = ["red cat ran home", "blue dogs sing loud", "we eat warm bread", "nobody knows her name"]
TEXTS = st.lists(st.text(alphabet="ab c\u0439.", min_size=1).filter(str.strip), min_size=2, max_size=6)


def test_words_are_casefolded_and_lose_the_punctuation_at_their_ends_alone() -> None:
    assert words('"Well, don\'t!" (3.5) — STRASSE straße') == ("well", "don't", "3.5", "—", "strasse", "strasse")
    assert words("हिन्दी।") == ("हिन्दी",)
    assert words(" \n") == ()


def test_ngrams_of_a_short_text_are_none() -> None:
    assert ngrams("abc", 2) == [("a", "b"), ("b", "c")]
    assert ngrams("abc", 4) == []


def test_distinct_counts_within_texts_and_over_the_set() -> None:
    texts = ["the cat the cat", "the dog"]
    assert distinct(texts, 1) == pytest.approx(3 / 6)
    # the-cat, cat-the, the-cat, the-dog: no pair across the texts.
    assert distinct(texts, 2) == pytest.approx(3 / 4)
    assert distinct(texts, 3) == 1
    assert math.isnan(distinct(texts, 5))


def test_ead_is_unique_tokens_over_those_that_uniform_draws_would_give() -> None:
    # Three draws of two tokens give 2 (1 - (1/2)^3) = 1.75 different ones on average.
    assert expectation_adjusted_distinct([[0, 1], [0]], 2) == pytest.approx(2 / 1.75)
    assert expectation_adjusted_distinct([[7]], 50_000) == pytest.approx(1)
    assert math.isnan(expectation_adjusted_distinct([[], []], 100))
    with pytest.raises(ValueError, match="at least 2"):
        expectation_adjusted_distinct([[0]], 1)


def test_ead_of_uniform_draws_is_one_whatever_the_length_while_distinct_falls() -> None:
    rng = np.random.default_rng(0)
    draws = {size: rng.integers(0, 500, size).tolist() for size in (100, 5000)}
    found = {size: expectation_adjusted_distinct([ids], 500) for size, ids in draws.items()}
    assert found[100] == pytest.approx(1, abs=0.1)
    assert found[5000] == pytest.approx(1, abs=0.02)
    assert len(set(draws[5000])) / 5000 < 0.2 * len(set(draws[100])) / 100


def test_self_bleu_is_a_direct_loop_over_sacrebleu() -> None:
    texts = ["the cat sat on the mat", "the cat sat on a chair", "a dog barked at the cat on the mat all day"]
    loop = [
        sacrebleu.sentence_bleu(text, [other for j, other in enumerate(texts) if j != i], smooth_method="exp").score
        for i, text in enumerate(texts)
    ]
    assert self_bleu(texts) == pytest.approx(float(np.mean(loop)), abs=1e-12)


def test_self_bleu_of_identical_and_of_unrelated_texts() -> None:
    assert self_bleu(["one two three four five"] * 3) == pytest.approx(100)
    assert self_bleu(UNRELATED) < 15
    assert math.isnan(self_bleu(["one"]))


def test_the_signature_is_that_of_the_scorer_and_names_the_references() -> None:
    assert self_bleu_signature(8).startswith("nrefs:7|case:mixed|eff:yes|tok:13a|smooth:exp|version:")


def test_compression_ratio_is_bytes_over_gzip_bytes_once() -> None:
    texts = ["the same line of text"] * 50
    data = "\n".join(texts).encode()
    assert compression_ratio(texts) == len(data) / len(gzip.compress(data, 9, mtime=0))
    assert compression_ratio(texts) > 10
    assert compression_ratio(["ab"]) < 1
    assert math.isnan(compression_ratio([""]))


def test_self_repetition_counts_the_4_grams_that_another_text_has() -> None:
    texts = ["a b c d e", "a b c d z", "q r s t u"]
    assert self_repetition(texts) == pytest.approx((2 * math.log(2) + 0) / 3)
    # A 4-gram twice in one text is no repetition of another.
    assert self_repetition(["a b c d a b c d", "x"]) == 0
    assert math.isnan(self_repetition(texts[:1]))


def test_duplicates_are_all_members_of_a_group_of_equal_texts() -> None:
    assert duplicates(["a b", " a  b ", "a B", "c"]) == 0.5
    assert duplicates(["x"] * 4) == 1
    assert math.isnan(duplicates(["x"]))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_vendi_of_identical_texts_is_one_and_of_unrelated_texts_is_their_number(n: int) -> None:
    assert vendi(ngram_kernel(["to be or not"] * n)) == pytest.approx(1)
    assert vendi(ngram_kernel(UNRELATED[:n])) == pytest.approx(min(n, len(UNRELATED)))


def test_vendi_of_two_pairs_of_twins_is_two() -> None:
    assert vendi(ngram_kernel([*UNRELATED[:2], *UNRELATED[:2]])) == pytest.approx(2)


def test_vendi_of_two_items_is_the_entropy_of_its_eigenvalues() -> None:
    # Of [[1, s], [s, 1]]/2 the eigenvalues are (1 + s)/2 and (1 - s)/2.
    s = 0.4
    p, q = (1 + s) / 2, (1 - s) / 2
    kernel = np.array([[1, s], [s, 1]])
    assert vendi(kernel) == pytest.approx(math.exp(-p * math.log(p) - q * math.log(q)))
    assert pairwise_distance(kernel) == pytest.approx(1 - s)
    assert math.isnan(vendi(np.zeros((0, 0))))
    assert math.isnan(pairwise_distance(np.ones((1, 1))))


def published_kernel(texts: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The kernel as the package vendi-score computes it: per n, cosine of n-gram counts, averaged over n = 1, 2."""
    kernels = []
    for n in (1, 2):
        counts = [Counter(ngrams(words(text), n)) for text in texts]
        columns = sorted({gram for each in counts for gram in each}, key=str)
        table = np.array([[each[gram] for gram in columns] for each in counts], dtype=np.float64)
        table /= np.linalg.norm(table, axis=1, keepdims=True)
        kernels.append(table @ table.T)
    found: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.mean(kernels, axis=0)
    return found


def test_kernel_and_score_are_those_of_the_published_package() -> None:
    texts = ["the cat sat on the mat", "the cat sat on a chair", "a dog sat", "on the mat the cat"]
    assert ngram_kernel(texts) == pytest.approx(published_kernel(texts))
    values = np.linalg.eigvalsh(published_kernel(texts) / len(texts))
    assert vendi(ngram_kernel(texts)) == pytest.approx(math.exp(-sum(v * math.log(v) for v in values if v > 1e-12)))


def test_a_text_of_one_word_is_compared_by_that_word() -> None:
    assert ngram_kernel(["yes", "Yes.", "no"]) == pytest.approx(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]]))


@given(TEXTS)
def test_kernels_are_those_of_a_similarity_and_scores_stay_in_range(texts: list[str]) -> None:
    kernel = ngram_kernel(texts)
    assert np.allclose(kernel, kernel.T)
    assert np.linalg.eigvalsh(kernel).min() > -1e-9
    assert 1 - 1e-9 <= vendi(kernel) <= len(texts) + 1e-9
    assert -1e-9 <= pairwise_distance(kernel) <= 1
    assert 0 < distinct(texts, 1) <= 1
    assert 0 <= self_bleu(texts) <= 100 + 1e-9
    assert self_repetition(texts) >= 0
    assert 0 <= duplicates(texts) <= 1


@given(TEXTS)
def test_the_order_of_the_texts_plays_no_part(texts: list[str]) -> None:
    shuffled = list(reversed(texts))
    assert vendi(ngram_kernel(texts)) == pytest.approx(vendi(ngram_kernel(shuffled)))
    assert self_bleu(texts) == pytest.approx(self_bleu(shuffled))
    assert distinct(texts, 2) == pytest.approx(distinct(shuffled, 2), nan_ok=True)
