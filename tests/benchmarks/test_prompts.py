from __future__ import annotations

from benchmarks.prompts import WORDS, prompts, sentence_pairs


def test_prompts_are_64_and_distinct() -> None:
    assert len(set(prompts())) == len(prompts()) == 64
    assert not [prompt for prompt in prompts() if "{" in prompt]


def test_pairs_are_distinct_sentences() -> None:
    pairs = sentence_pairs()
    assert len(set(pairs)) == len(pairs) > 200
    assert all(one != other for one, other in pairs)


def test_words_are_distinct_and_more_than_needed() -> None:
    assert len(set(WORDS)) == len(WORDS) > 40
