"""Loads on a server whose delays are known."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from llmaudit.engines.address import Address, Endpoint
from llmaudit.errors import EngineError
from llmaudit.performance.endpoint import drive
from llmaudit.performance.exchanges import Exchange
from llmaudit.performance.load import LoadParams
from tests.unit.performance.streaming_server import StreamingServer

KEY = "sk-secret-0123456789"
#: Seconds by which a sleep may be longer on a busy machine.
SLACK = 0.15


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def load(**keys: Any) -> LoadParams:
    known = {"closed": {"users": 1}, "requests": 2, "repetitions": 1, "warm_up": 1, "timeout": 5.0}
    if "open" in keys:
        del known["closed"]
    return LoadParams.model_validate(known | keys)


def driven(server: StreamingServer, *, seed: int = 0, **keys: Any) -> tuple[Exchange, ...]:
    with server.running() as endpoint:
        return drive(endpoint, load(**keys), ["Once", "Twice"], seed)


def middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def test_delays_are_found_again() -> None:
    found = driven(StreamingServer(first=0.1, gap=0.04), requests=4)
    assert [exchange.number for exchange in found] == [0, 1, 2, 3]
    assert 0.1 <= middle([exchange.ttft for exchange in found]) <= 0.1 + SLACK
    assert 0.04 <= middle([exchange.tpot for exchange in found]) <= 0.04 + SLACK
    for exchange in found:
        assert exchange.e2e == pytest.approx(exchange.ttft + 4 * exchange.tpot)
        assert exchange.e2e == pytest.approx(exchange.ttft + sum(exchange.gaps))
        assert (exchange.text, exchange.tokens, exchange.counted) == (" one two drei für 五", 5, True)
        assert (exchange.characters, exchange.bytes, exchange.prompt_tokens) == (19, 22, 7)
        assert exchange.error is None


def test_pieces_are_counted_where_the_server_does_not_count_tokens() -> None:
    (exchange,) = driven(StreamingServer(usage=None), requests=1)
    assert (exchange.tokens, exchange.counted, exchange.prompt_tokens) == (5, False, None)


def test_users_of_a_closed_loop_wait_for_their_answers() -> None:
    found = driven(StreamingServer(first=0.05, gap=0), closed={"users": 2}, requests=6)
    assert len(found) == 6
    under_way = [sum(other.sent <= each.sent < other.ended for other in found) for each in found]
    assert max(under_way) == 2
    starts = sorted(exchange.sent for exchange in found)
    assert starts[2] >= 0.05


def test_an_open_loop_waits_for_nobody_and_latency_counts_from_when_a_request_was_due() -> None:
    # One at a time, 0.1 s each, and 40 a second are due: the n-th waits for those before it.
    found = driven(StreamingServer(first=0.1, gap=0, places=1), open={"rate": 40.0}, requests=8)
    assert [exchange.due for exchange in found] == sorted(exchange.due for exchange in found)
    assert max(exchange.lag for exchange in found) < SLACK
    assert found[-1].sent < found[0].due + 0.8
    assert found[-1].ttft > 4 * found[0].ttft
    for exchange in found:
        assert exchange.ttft == exchange.times[0] - exchange.due


def test_the_same_seed_gives_the_same_moments_and_prompts() -> None:
    def asked(seed: int) -> list[tuple[float, str]]:
        found = driven(StreamingServer(first=0, gap=0), open={"rate": 200.0}, requests=5, repetitions=2, seed=seed)
        return [(exchange.due, exchange.prompt) for exchange in found]

    first = asked(3)
    assert first == asked(3)
    assert first != asked(4)
    assert len({prompt for _, prompt in first}) == len(first) == 10


def test_repetitions_are_apart_and_the_warm_up_counts_for_nothing() -> None:
    server = StreamingServer(first=0.02, gap=0)
    found = driven(server, closed={"users": 3}, requests=6, repetitions=3, warm_up=2)
    assert [exchange.repetition for exchange in found] == [1] * 6 + [2] * 6 + [3] * 6
    assert len(server.asked) == 1 + 2 + 18


def test_the_time_bounds_a_load() -> None:
    found = driven(StreamingServer(first=0.05, gap=0), requests=1000, seconds=0.3)
    assert 1 <= len(found) <= 7
    assert all(exchange.sent < 0.3 for exchange in found)


def test_what_is_sent() -> None:
    server = StreamingServer(first=0, gap=0)
    driven(server, prompt="raw", distinct=False, max_new_tokens=9, ignore_eos=True)
    path, payload, headers = server.asked[-1]
    assert path == "/v1/completions"
    assert payload == {
        "model": "tiny",
        "prompt": "Twice",
        "max_tokens": 9,
        "temperature": 0.0,
        "ignore_eos": True,
        "min_tokens": 9,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Accept-Encoding"] == "identity"
    driven(server)
    path, payload, _ = server.asked[-1]
    assert path == "/v1/chat/completions"
    assert payload["messages"][0]["content"].endswith("] Twice")
    assert "ignore_eos" not in payload


def test_a_server_that_does_not_know_stream_options_is_asked_without() -> None:
    refusal = 400, "application/json", b'{"error": {"message": "unknown field stream_options"}}'
    server = StreamingServer(override=lambda path, payload: refusal if "stream_options" in payload else None)
    found = driven(server)
    assert [exchange.error for exchange in found] == [None, None]
    assert not any(exchange.counted for exchange in found)
    assert ["stream_options" in payload for _, payload, _ in server.asked] == [True, False, False, False, False]


def _answering(status: int, kind: str, body: bytes) -> StreamingServer:
    return StreamingServer(override=lambda path, payload: (status, kind, body))


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (_answering(404, "application/json", b'{"detail": "Not Found"}'), "HTTP 404: Not Found"),
        (_answering(401, "text/plain", f"key {KEY} is wrong".encode()), r"HTTP 401: key \*\*\* is wrong"),
        (_answering(200, "application/json", b"{}"), "the server does not stream"),
        (StreamingServer(done=False), "the stream broke off"),
        (StreamingServer(pieces=()), "holds no text"),
        (_answering(200, "text/event-stream", b"data: {\n\n"), "no event of a completion"),
        (_answering(200, "text/event-stream", b'data: {"error": "boom"}\n\n'), "the server gave up: boom"),
    ],
)
def test_an_endpoint_that_cannot_be_measured_is_refused_before_the_load(server: StreamingServer, words: str) -> None:
    with pytest.raises(EngineError, match=rf"http://127\.0\.0\.1:\d+/v1 cannot be put under load: .*{words}"):
        driven(server)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(EngineError, match="cannot be put under load: no answer: "):
        drive(Endpoint(Address("http://127.0.0.1:9/v1"), "tiny"), load(), ["p"], 0)


def test_nothing_is_tried_again_and_what_failed_is_kept() -> None:
    numbers = iter(range(100))
    refusal = 503, "application/json", b'{"error": {"message": "overloaded"}}'
    server = StreamingServer(first=0, gap=0, override=lambda *_: refusal if next(numbers) in {4, 6} else None)
    found = driven(server, requests=6)
    assert len(server.asked) == 2 + 6
    assert [exchange.error for exchange in found] == [None, None, *["HTTP 503: overloaded", None] * 2]
    assert math.isinf(found[2].ttft)
    assert math.isinf(found[2].tpot)


def test_a_request_that_takes_too_long_is_given_up_with_what_came() -> None:
    server = StreamingServer(first=0, gap=0)
    with server.running() as endpoint:
        server.override = lambda *_: None if len(server.asked) <= 2 else setattr(server, "gap", 0.4)
        found = drive(endpoint, load(timeout=1.0), ["p"], 0)
    assert [exchange.error for exchange in found] == ["not answered in 1 s"] * 2
    for exchange in found:
        assert 1.0 <= exchange.ended - exchange.sent <= 1.0 + SLACK
        assert len(exchange.times) == len(exchange.text.split()) == 3
        assert math.isinf(exchange.e2e)
    assert [after.sent >= before.ended for before, after in pairwise(found)] == [True]
