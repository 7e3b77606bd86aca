"""How answers are made comparable: equal number and length within a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.diversity.answer_sets import AnswerSets, cut
from llmaudit.engines.fake import answer
from llmaudit.types import Completion, Failure, Generate, Sample, Tokenize, Tokens

LOW, HIGH = "0.1", "1.2"


def tokens_of(text: str) -> Tokens:
    found = answer(Tokenize(text, ""))
    assert isinstance(found, Tokens)
    return found


def drawn(level: str, texts: Sequence[str | None], prompt: str = "p") -> list[Sample]:
    return [
        Sample(
            Generate(prompt, prompt, sample=number, factors={"level": level}),
            Failure("lost") if text is None else Completion(text, 1, "stop", prompt),
        )
        for number, text in enumerate(texts)
    ]


def sets_of(samples: Sequence[Sample], *, length: int = 24, number: int = 4, apart: Sequence[str] = ()) -> AnswerSets:
    texts = [s.response.text for s in samples if isinstance(s.response, Completion)]
    tokens: Mapping[str, Tokens] = {text: tokens_of(text) for text in texts}
    return AnswerSets.of(samples, tokens, [LOW, HIGH], apart=apart, length=length, number=number)


def words(count: int) -> str:
    return " ".join(["word"] * count)


def test_a_text_is_cut_where_a_token_starts() -> None:
    text = " one two, three"
    assert cut(text, tokens_of(text), 3) == (" one two,", tokens_of(text).ids[:3])
    assert cut(text, tokens_of(text), 4) == (text, tokens_of(text).ids)
    assert cut(text, tokens_of(text), 9)[0] == text


def test_where_the_starts_are_unknown_a_text_is_cut_by_words() -> None:
    blind = Tokens((1, 2, 3, 4), ("a", "b", "c", "d"), (), 0, 0, "")
    assert cut(" one  two, three four", blind, 2) == (" one  two,", (1, 2))
    assert cut(" one  two", None, 2) == (" one  two", ())


@given(st.text(max_size=40), st.integers(1, 30))
def test_what_is_cut_is_a_beginning(text: str, length: int) -> None:
    kept, ids = cut(text, tokens_of(text), length)
    assert text.startswith(kept)
    assert len(ids) <= length


def test_all_levels_of_a_prompt_have_as_many_answers_as_the_emptiest_one() -> None:
    samples = [*drawn(LOW, [words(30)] * 4), *drawn(HIGH, [words(30), "  ", None, words(30)])]
    found = sets_of(samples)
    assert [each.index for each in found.sets["p", LOW]] == [0, 1]
    assert [each.index for each in found.sets["p", HIGH]] == [4, 7]
    assert len(found.at(HIGH)) == 2


def test_a_prompt_without_half_of_its_answers_at_one_level_is_left_out_at_all() -> None:
    samples = [*drawn(LOW, [words(30)] * 4), *drawn(HIGH, [words(30), "", "", ""])]
    found = sets_of([*samples, *drawn(LOW, [words(9)] * 4, "q"), *drawn(HIGH, [words(9)] * 4, "q")])
    assert found.prompts == ("p", "q")
    assert set(found.sets) == {("q", LOW), ("q", HIGH)}


def test_all_levels_are_cut_to_the_shortest_median_and_at_most_to_the_length() -> None:
    samples = [*drawn(LOW, [words(30)] * 4), *drawn(HIGH, [words(9), words(10), words(10), words(30)])]
    found = sets_of(samples)
    assert found.lengths == {"p": 10}
    assert [len(each.ids) for each in found.sets["p", LOW]] == [10] * 4
    assert [len(each.ids) for each in found.sets["p", HIGH]] == [9, 10, 10, 10]
    assert sets_of([*drawn(LOW, [words(30)] * 4), *drawn(HIGH, [words(30)] * 4)]).lengths == {"p": 24}


@pytest.mark.parametrize(("size", "length", "kept"), [(7, 24, False), (8, 24, True), (5, 5, True)])
def test_answers_of_fewer_than_8_tokens_are_not_compared(size: int, length: int, kept: bool) -> None:
    samples = [*drawn(LOW, [words(size)] * 4), *drawn(HIGH, [words(size)] * 4)]
    assert bool(sets_of(samples, length=length).sets) is kept


def test_a_level_apart_follows_the_others_and_does_not_rule_them() -> None:
    samples = [*drawn(LOW, [words(30)] * 4), *drawn(HIGH, [words(30)] * 4)]
    assert sets_of([*samples, *drawn("H2.0", [words(9), "", "", ""])], apart=["H2.0"]).sets.keys() == {
        ("p", LOW),
        ("p", HIGH),
    }
    found = sets_of([*samples, *drawn("H2.0", [words(40)] * 4)], apart=["H2.0"])
    assert [len(each.ids) for each in found.sets["p", "H2.0"]] == [24] * 4
