"""The answer of a server comes in blocks that are cut anywhere; what it says does not depend on where."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.performance.streams import EventStream, StreamedAnswer


def _fed(stream: bytes, cuts: list[int]) -> list[str]:
    events = EventStream()
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [data for start, end in pairwise(places) for data in events.feed(stream[start:end])]


@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0, 400), max_size=20),
)
def test_events_do_not_depend_on_how_the_bytes_are_cut(texts: list[str], end: str, cuts: list[int]) -> None:
    # What follows the last event shows that it is over: a lone carriage return may be half of a line end.
    stream = "".join(f": remark{end}data: {text}{end}id: 1{end}{end}" for text in texts) + ":"
    assert _fed(stream.encode(), cuts) == texts


def test_lines_of_one_event_are_joined_and_what_is_unfinished_waits() -> None:
    assert _fed(b"\xef\xbb\xbfdata: a\ndata:b\n\nevent: x\n\ndata: half", []) == ["a\nb"]


def _answer(*events: object) -> StreamedAnswer:
    answer = StreamedAnswer()
    for now, event in enumerate(events):
        text = event if isinstance(event, str) else json.dumps(event)
        answer.take(f"data: {text}\n\n".encode(), float(now))
    return answer


def test_only_pieces_with_text_have_a_time() -> None:
    answer = _answer(
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"delta": {"content": "a"}}]},
        {"choices": [{"delta": {"content": None}}]},
        {"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"completion_tokens": 3, "prompt_tokens": 4}},
        "[DONE]",
    )
    assert (answer.text, answer.times, answer.complete) == ("ab", [1.0, 3.0], True)
    assert (answer.tokens, answer.prompt_tokens) == (3, 4)


def test_what_a_model_writes_while_it_reasons_counts_from_its_first_token() -> None:
    answer = _answer(*({"choices": [{"delta": {name: "x"}}]} for name in ("reasoning_content", "reasoning", "content")))
    assert answer.times == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("usage", [None, {}, {"completion_tokens": 0}, {"completion_tokens": "3"}, [3]])
def test_a_count_that_is_none_is_not_taken_for_one(usage: object) -> None:
    assert _answer({"choices": [{"text": "a"}], "usage": usage}).tokens is None


@pytest.mark.parametrize("event", ["{", "3", '"text"', "[]"])
def test_what_is_no_event_is_refused(event: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        _answer(event)


@pytest.mark.parametrize("event", [{}, {"choices": None}, {"choices": [3]}, {"choices": [{"delta": 3}]}])
def test_events_without_a_choice_say_nothing(event: object) -> None:
    assert (_answer(event).text, _answer(event).complete) == ("", False)


@pytest.mark.parametrize("error", [{"message": "out of memory", "code": 500}, "out of memory"])
def test_an_error_in_the_middle_is_heard(error: object) -> None:
    assert _answer({"choices": [{"text": "a"}]}, {"error": error}).error == "out of memory"
