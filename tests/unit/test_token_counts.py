"""Counts of tokens on sentences counted by hand."""

from __future__ import annotations

import math
import timeit
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from llmaudit.audit import Metric
from llmaudit.stats import bca_cluster_bootstrap
from llmaudit.token_counts import count, ratio_estimates
from llmaudit.types import Failure, Response, Sample, Tokenize, Tokens

METRIC = Metric("a ratio", "ratio", "lower")


def cut(text: str, *pieces: str, unknown: int = 0, fragments: int = 0, decoded: str | None = None) -> Sample:
    """A sentence that is cut into these pieces, which follow one another in the text."""
    starts: list[int] = []
    place = 0
    for piece in pieces:
        starts.append(text.index(piece, place))
        place = starts[-1] + len(piece)
    tokens = Tokens(
        tuple(range(len(pieces))), pieces, tuple(starts), unknown, fragments, text if decoded is None else decoded
    )
    return answered(text, tokens)


def answered(text: str, response: Response, language: str = "eng") -> Sample:
    return Sample(Tokenize(text, "sentence 001", {"language": language}), response)


def counts(*samples: Sample) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in count("eng", samples).items()}


def test_a_sentence_by_hand() -> None:
    # "großen" is 7 bytes; of the three words two are cut.
    found = counts(cut("den großen Deich", "den", " gro", "ßen", " Dei", "ch"))
    assert found == {
        "tokens": [5],
        "words": [3],
        "characters": [16],
        "bytes": [17],
        "continued": [2],
        "fragments": [0],
        "unknown": [0],
        "broken": [0],
    }


@pytest.mark.parametrize(
    ("sample", "continued"),
    [
        (cut("ab cd", "ab", " cd"), 0),
        (cut("ab cd", "ab", " ", "cd"), 1),  # a space of its own belongs to the word behind it
        (cut("ab cd", "a", "b", " ", "c", "d"), 2),
        (cut("ab  cd ", "ab", " ", " cd", " "), 1),  # the last space belongs to no word
        (cut("ab cd", "ab cd"), 0),  # a token over two words cuts neither
        (cut(" ab", " a", "b"), 1),
        (cut("ab\ncd", "ab", "\n", "cd"), 1),
    ],
)
def test_words_in_which_two_tokens_start(sample: Sample, continued: int) -> None:
    assert counts(sample)["continued"] == [continued]


def test_fragments_unknown_tokens_and_a_broken_round_trip() -> None:
    found = counts(cut("ab", "a", "b", unknown=1, fragments=2, decoded="a b"))
    assert (found["unknown"], found["fragments"], found["broken"]) == ([1], [2], [1])


def test_a_tokenizer_that_tells_no_offsets_has_no_continued_words() -> None:
    found = counts(answered("ab cd", Tokens((1, 2), ("ab", "cd"), (), 0, 0, "ab cd")))
    assert found["tokens"] == [2]
    assert math.isnan(found["continued"][0])


def test_what_could_not_be_tokenized_has_no_counts_and_keeps_its_place() -> None:
    samples = (answered("ab", Failure("no")), cut("ab", "a", "b"))
    for values in counts(*samples).values():
        assert math.isnan(values[0])
        assert not math.isnan(values[1])


def test_only_the_samples_of_the_language_count() -> None:
    tokens = Tokens((1,), ("x",), (0,), 0, 0, "x")
    found = count("deu", [answered("x", tokens), answered("x y", tokens, "deu")])
    assert found["words"].tolist() == [2]


def test_counting_grows_with_the_text_and_not_with_its_square() -> None:
    # A document of 50,000 words is one text too: at a step for every pair of token and word it takes minutes.
    def seconds(words: int) -> float:
        text = "word " * words
        starts = tuple(range(0, len(text), 5))
        tokens = Tokens(starts, ("word ",) * words, starts, 0, 0, text)
        return min(timeit.repeat(lambda: count("eng", [answered(text, tokens)]), number=1, repeat=2))

    assert seconds(8000) / seconds(2000) < 9  # four times the text; 16 where it is the square


def ratios(
    pairs: Mapping[str, tuple[Sequence[float], Sequence[float]]], unknown: Mapping[str, float] | None = None
) -> dict[str, tuple[float, str | None]]:
    found = ratio_estimates(
        "premium",
        METRIC,
        {language: (np.array(over, float), np.array(under, float)) for language, (over, under) in pairs.items()},
        unknown or dict.fromkeys(pairs, 0.0),
    )
    return {name: (estimate.value, estimate.problem) for name, estimate in found.items()}


def test_a_ratio_is_one_of_sums_and_the_bare_name_the_worst() -> None:
    found = ratios({"deu": ([2, 4, 6], [1, 2, 5]), "fra": ([1, 1, 1], [2, 2, 2])})
    assert found == {"premium": (1.5, None), "premium.deu": (1.5, None), "premium.fra": (0.5, None)}


def test_the_worst_of_a_ratio_that_should_be_high_is_the_lowest() -> None:
    metric = Metric("a ratio", "ratio", "higher")
    ones = np.ones(3)
    found = ratio_estimates("r", metric, {"a": (2 * ones, ones), "b": (ones, ones)}, {"a": 0, "b": 0})
    assert found["r"].value == 1


def test_the_interval_of_a_language_and_of_the_worst_one() -> None:
    rng = np.random.default_rng(0)
    under = rng.integers(10, 40, 40).astype(float)
    over = under * 1.5 + rng.normal(0, 3, 40)
    found = ratio_estimates("r", METRIC, {"deu": (over, under), "fra": (under, under)}, {"deu": 0, "fra": 0})
    assert found["r.deu"].interval == bca_cluster_bootstrap(over, under)
    worst = found["r"].interval
    assert worst is not None
    assert worst.low < over.sum() / under.sum() < worst.high
    assert "Bonferroni over 2" in worst.method
    assert found["r.deu"].clusters == 40


def test_missing_sentences_are_left_out_of_both_sides_and_counted() -> None:
    over, under = np.array([2.0, math.nan, 4.0]), np.array([1.0, 5.0, 2.0])
    found = ratio_estimates("r", METRIC, {"deu": (over, under)}, {"deu": 0})["r.deu"]
    assert (found.value, found.n, found.clusters, found.missing) == (2.0, 2, 2, 1)


def test_a_sentence_without_a_denominator_has_no_ratio_of_its_own() -> None:
    found = ratio_estimates("r", METRIC, {"deu": (np.array([1.0, 3]), np.array([0.0, 2]))}, {"deu": 0})["r.deu"]
    assert found.value == 2
    assert math.isnan(found.cluster_values["sentence 001"])
    assert found.cluster_values["sentence 002"] == 1.5


def test_nothing_measured_is_no_number() -> None:
    empty = np.array([math.nan, math.nan])
    found = ratio_estimates("r", METRIC, {"deu": (empty, empty)}, {"deu": 0})
    assert math.isnan(found["r"].value)
    assert found["r"].interval is None


def test_no_language_no_estimate() -> None:
    assert ratio_estimates("r", METRIC, {}, {}) == {}


def test_a_tenth_of_unknown_tokens_is_the_most_that_can_be_judged() -> None:
    found = ratios({"deu": ([2, 4], [1, 2]), "kat": ([3, 6], [1, 2])}, {"deu": 0.10, "kat": 0.11})
    problem = "11% of the tokens are unknown (at most 10%)"
    assert found == {"premium": (3, f"premium.kat: {problem}"), "premium.deu": (2, None), "premium.kat": (3, problem)}


def test_the_worst_language_is_not_known_while_one_language_cannot_be_judged() -> None:
    # One token for everything unknown makes a language look cheap: its counts say nothing, so it may be the worst.
    found = ratios({"deu": ([2, 4], [1, 2]), "kat": ([1, 2], [1, 2])}, {"deu": 0.0, "kat": 1.0})
    assert found["premium.kat"][1] is not None
    assert found["premium"][1] is not None


def test_too_many_missing_sentences_cannot_be_judged() -> None:
    # The rule for answers that are missing (at most a fifth) holds for sentences too.
    over = np.array([2.0] * 12 + [math.nan] * 12)
    found = ratio_estimates("r", METRIC, {"deu": (over, np.ones(24))}, {"deu": 0})
    assert found["r.deu"].missing == 12
    assert found["r.deu"].problem is not None
