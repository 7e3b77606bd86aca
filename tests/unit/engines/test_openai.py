from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from llmaudit.engines import openai
from llmaudit.engines.base import Engine, EngineOptions
from llmaudit.engines.build import build_engine
from llmaudit.engines.openai import OpenAIEngine
from llmaudit.errors import EngineError, ModelError
from llmaudit.types import Completion, Failure, Generate, NextToken, NextTokens, Request, Response, Sampling, Score

KEY = "sk-secret-0123456789"
URL = "http://server.test:8000/v1"
Connect = Callable[..., OpenAIEngine]
Handling = Callable[[httpx2.Request], httpx2.Response]
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


@dataclass
class Server:
    """An OpenAI-compatible server with faults to switch on; `override` answers a request before it does."""

    temperature: bool = True
    logprobs: bool = True
    routes: tuple[str, ...] = ("completions", "chat/completions")
    models: tuple[str, ...] = ("tiny", "large")
    key: str | None = None
    override: Callable[[str, dict[str, Any]], Answer | None] = lambda path, payload: None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    headers: list[httpx2.Headers] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/v1/")
        payload = json.loads(request.content) if request.content else {}
        self.headers.append(request.headers)
        if path != "models":
            self.asked.append((path, payload))
        status, body, *headers = self.override(path, payload) or self.answer(path, payload, request.headers)
        content = body if isinstance(body, str) else json.dumps(body)
        return httpx2.Response(status, text=content, headers=headers[0] if headers else {})

    def answer(self, path: str, payload: dict[str, Any], headers: httpx2.Headers) -> Answer:
        if self.key and headers.get("Authorization") != f"Bearer {self.key}":
            return 401, {"error": {"message": f"Incorrect API key: {headers.get('Authorization')}\nsecond line"}}
        if path == "models":
            return 200, {"data": [{"id": name} for name in self.models]}
        if path not in self.routes:
            return 404, {"detail": "Not Found"}
        if payload["model"] not in self.models:
            return 404, {"error": {"message": f"The model `{payload['model']}` does not exist."}}
        text = f"text {payload.get('seed')}" if payload["temperature"] and self.temperature else "greedy text"
        choice: dict[str, Any] = {"finish_reason": "length", "text": text, "logprobs": None}
        if "logprobs" in payload and self.logprobs:
            choice["logprobs"] = {"top_logprobs": [{" c": -2.5, " a": -0.3, " b": -1.75}]}
        if path.startswith("chat"):
            choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        return 200, {"choices": [choice], "usage": {"completion_tokens": 7}}


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, which are not waited."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=found.append))
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return found


@pytest.fixture
def opened() -> Iterator[list[OpenAIEngine]]:
    engines: list[OpenAIEngine] = []
    yield engines
    for engine in engines:
        engine.close()


@pytest.fixture
def connect(opened: list[OpenAIEngine]) -> Connect:
    def connect(server: Handling, model: str = "openai:tiny", seed: int = 0) -> OpenAIEngine:
        options = EngineOptions(model, base_url=URL, seed=seed)
        opened.append(OpenAIEngine(options, transport=httpx2.MockTransport(server)))
        if isinstance(server, Server):
            server.asked.clear()
        return opened[-1]

    return connect


def ask(engine: Engine, *requests: Request) -> list[Response]:
    answers = dict(engine.run(requests))
    assert sorted(answers) == list(range(len(requests)))
    return [answers[index] for index in range(len(requests))]


def error(response: Response) -> str:
    assert isinstance(response, Failure)
    return response.error


def once(server: Server, *answers: Answer) -> None:
    """Have the server's next answers be these."""
    left = list(answers)
    server.override = lambda path, payload: left.pop(0) if left else None


# What is sent, and what is made of the answer


def test_it_is_an_engine_that_says_what_it_found(connect: Connect) -> None:
    engine = connect(Server())
    assert isinstance(engine, Engine)
    assert engine.capabilities == {Generate, NextToken}
    assert (engine.info.name, engine.info.resolved, engine.info.engine) == ("openai:tiny", "tiny", "openai")
    assert engine.info.facts["endpoint"] == URL
    assert engine.info.facts["probe.model_listed"] == "yes"
    assert engine.info.facts["probe.completions.temperature"] == "works"


def test_a_raw_prompt_is_sent_with_its_sampling(connect: Connect) -> None:
    server = Server()
    sampling = Sampling(temperature=0.5, top_p=0.9, top_k=20, max_new_tokens=12, stop=("\n", "."))
    (answer,) = ask(connect(server), Generate("Once", "c", sampling, stream="s"))
    ((path, payload),) = server.asked
    assert path == "completions"
    seed = payload.pop("seed")
    assert payload == {
        "model": "tiny",
        "prompt": "Once",
        "max_tokens": 12,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 20,
        "stop": ["\n", "."],
    }
    assert answer == Completion(f"text {seed}", 7, "length", "Once")
    assert server.headers[-1]["Authorization"] == f"Bearer {KEY}"


def test_a_chat_prompt_is_one_user_turn_and_nothing_needless_is_sent(connect: Connect) -> None:
    server = Server()
    (answer,) = ask(connect(server), Generate("Hi", "c", Sampling(temperature=0), chat=True))
    ((path, payload),) = server.asked
    assert path == "chat/completions"
    assert payload["messages"] == [{"role": "user", "content": "Hi"}]
    assert not {"prompt", "stop", "top_k", "n", "logit_bias"} & set(payload)
    assert answer == Completion("greedy text", 7, "stop", "Hi")


def test_without_a_key_no_authorization_is_sent(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    server = Server()
    connect(server)
    assert not any("Authorization" in headers for headers in server.headers)


def test_the_seed_depends_on_session_stream_and_sample_alone(connect: Connect) -> None:
    server = Server()
    requests = [
        Generate("p", "c", stream="s", sample=0),
        Generate("q", "d", stream="s", sample=0),
        Generate("p", "c", stream="s", sample=1),
        Generate("p", "c", stream="t", sample=0),
        Generate("p", "c", sample=0),
    ]

    def seeds(session: int, asked: list[Generate]) -> list[int]:
        engine = connect(server, seed=session)
        ask(engine, *asked)
        by = {(payload["prompt"], payload["seed"]) for _, payload in server.asked}
        texts = [answer.text for answer in ask(engine, *asked) if isinstance(answer, Completion)]
        found = [int(text.removeprefix("text ")) for text in texts]
        assert by == {(request.prompt, seed) for request, seed in zip(asked, found, strict=True)}
        return found

    first = seeds(0, requests)
    assert first == seeds(0, requests[::-1])[::-1], "the order makes no difference"
    assert first[0] == first[1], "one stream draws the same noise under every prompt"
    assert len(set(first)) == 4
    assert all(0 <= seed < 2**31 for seed in first)
    assert not set(first) & set(seeds(1, requests))
    assert first[0] == openai._request_seed(0, "s", 0) == 1371043852, "stored runs rely on it"


@pytest.mark.parametrize(
    ("choice", "usage", "expected"),
    [
        ({"text": "one two. three", "finish_reason": "length"}, None, Completion("one two", 3, "stop", "p")),
        ({"text": "a b c", "finish_reason": None}, None, Completion("a b c", 3, "length", "p")),
        ({"text": "a b", "finish_reason": None}, {}, Completion("a b", 2, "stop", "p")),
        ({"text": "", "finish_reason": "stop"}, {"completion_tokens": 1}, Completion("", 1, "stop", "p")),
        ({"text": "a", "finish_reason": "eos_token"}, {"completion_tokens": 3}, Completion("a", 3, "stop", "p")),
    ],
)
def test_an_answer_is_read_leniently(connect: Connect, choice: Any, usage: Any, expected: Completion) -> None:
    server = Server()
    engine = connect(server)
    once(server, (200, {"choices": [choice], "usage": usage}))
    assert ask(engine, Generate("p", "c", Sampling(max_new_tokens=3, stop=(".",)))) == [expected]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"choices": [{"text": None, "finish_reason": "length"}]}, "no complete text (finish_reason 'length')"),
        ({"choices": [{"text": "half", "finish_reason": "content_filter"}]}, "'content_filter'"),
        ({"choices": []}, "no choice"),
        ({"choices": ["text"]}, "no choice"),
        ({"error": {"message": "out of memory"}}, "HTTP 200: out of memory"),
        ("<html>\nhello", "HTTP 200: <html>"),
        ("[]", "HTTP 200: []"),
    ],
)
def test_an_answer_without_a_text_is_a_failure(connect: Connect, body: Any, words: str) -> None:
    server = Server()
    engine = connect(server)
    once(server, (200, body))
    assert words in error(ask(engine, Generate("p", "c"))[0])


@pytest.mark.parametrize(
    "logprobs",
    [
        {"top_logprobs": [{"b": -1.5, "a": -0.5, "c": -9.0}]},
        {"content": [{"top_logprobs": [{"token": t, "logprob": v} for t, v in [("a", -0.5), ("b", -1.5), ("c", -9)]]}]},
    ],
    ids=["completions", "chat"],
)
def test_next_tokens_come_most_likely_first(connect: Connect, logprobs: Any) -> None:
    server = Server()
    engine = connect(server)
    once(server, (200, {"choices": [{"text": "a", "logprobs": logprobs}]}))
    (answer,) = ask(engine, NextToken("p", "c", top=2))
    assert isinstance(answer, NextTokens)
    assert answer.top == (("a", -0.5), ("b", -1.5))
    assert answer.entropy != answer.entropy, "the tail is unknown"
    ((_, payload),) = server.asked
    assert (payload["logprobs"], payload["max_tokens"], payload["temperature"]) == (2, 1, 1.0)


def test_what_an_endpoint_cannot_do_is_a_failure_each(connect: Connect) -> None:
    engine = connect(Server())
    score, bent, bias, surrogate = ask(
        engine,
        Score("a", "b", "c"),
        NextToken("p", "c", logit_bias=((3, 1.0),)),
        Generate("p", "c", Sampling(logit_bias=((3, 1.0),))),
        Generate("half \ud800", "c"),
    )
    assert error(score) == "an endpoint does not answer Score"
    assert "logit_bias is not offered" in error(bent)
    assert error(bias) == error(bent)
    assert "surrogate" in error(surrogate)


# Servers that do not do what they are asked


def test_an_ignored_temperature_fails_sampled_requests_alone(connect: Connect) -> None:
    engine = connect(Server(temperature=False))
    assert engine.info.facts["probe.chat.temperature"] == "ignored"
    assert engine.capabilities == {Generate, NextToken}
    sampled, greedy = ask(engine, Generate("p", "c"), Generate("p", "c", Sampling(temperature=0)))
    assert "temperature 1 was not honoured" in error(sampled)
    assert isinstance(greedy, Completion)


def test_null_logprobs_are_not_offered(connect: Connect) -> None:
    engine = connect(Server(logprobs=False))
    assert engine.capabilities == {Generate}
    assert engine.info.facts["probe.logprobs"] == "refused: the answer holds no log-probabilities"
    assert error(ask(engine, NextToken("p", "c"))[0]) == "an endpoint does not answer NextToken"


def test_a_chat_only_server_says_how_to_ask_it(connect: Connect) -> None:
    engine = connect(Server(routes=("chat/completions",)))
    assert engine.capabilities == {Generate}
    raw, chat = ask(engine, Generate("p", "c"), Generate("p", "c", chat=True))
    assert error(raw) == "the endpoint does not answer /completions: use `prompt: chat` (HTTP 404: Not Found)"
    assert isinstance(chat, Completion)


def test_a_server_without_a_chat_template_says_how_to_ask_it(connect: Connect) -> None:
    engine = connect(Server(routes=("completions",)))
    raw, chat = ask(engine, Generate("p", "c"), Generate("p", "c", chat=True))
    assert isinstance(raw, Completion)
    assert "use `prompt: raw`" in error(chat)


@pytest.mark.parametrize("status", [500, 404, 200])
def test_a_server_without_a_list_of_models_is_used(connect: Connect, status: int) -> None:
    server = Server(override=lambda path, payload: (status, {"data": 3}) if path == "models" else None)
    assert connect(server).info.facts["probe.model_listed"] == "unknown"


def test_a_model_that_is_answered_for_but_not_listed_is_recorded(connect: Connect) -> None:
    server = Server(override=lambda path, payload: (200, {"data": [{"id": "other"}]}) if path == "models" else None)
    assert connect(server).info.facts["probe.model_listed"] == "no"


# Retries


def test_retry_after_is_honoured(connect: Connect, waits: list[float]) -> None:
    server = Server()
    engine = connect(server)
    once(server, (429, {}, {"Retry-After": "3"}), (503, "", {"Retry-After": "0.5"}))
    assert isinstance(ask(engine, Generate("p", "c"))[0], Completion)
    assert waits == [3.0, 0.5]


def test_retry_after_may_be_a_date(connect: Connect, waits: list[float]) -> None:
    server = Server()
    engine = connect(server)
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    once(server, (429, {}, {"Retry-After": date}), (429, {}, {"Retry-After": "soon"}))
    assert isinstance(ask(engine, Generate("p", "c"))[0], Completion)
    assert 20 < waits[0] <= 30
    assert waits[1] < 3


def test_a_server_that_wants_an_hour_is_not_asked_again(connect: Connect, waits: list[float]) -> None:
    server = Server()
    engine = connect(server)
    once(server, (429, {"error": "quota exceeded"}, {"Retry-After": "3600"}))
    assert error(ask(engine, Generate("p", "c"))[0]) == "HTTP 429: quota exceeded"
    assert waits == []


def test_a_lasting_fault_fails_one_request_and_the_others_are_answered(connect: Connect, waits: list[float]) -> None:
    server = Server()
    engine = connect(server)
    server.override = lambda path, payload: (500, {"error": {"message": "boom"}}) if payload["prompt"] == "3" else None
    answers = ask(engine, *(Generate(str(number), "c") for number in range(40)))
    assert [number for number, answer in enumerate(answers) if isinstance(answer, Failure)] == [3]
    assert error(answers[3]) == "HTTP 500: boom"
    assert len(waits) == 4
    assert waits == sorted(waits), "each wait is longer than the one before"


def test_a_refused_request_is_not_sent_again(connect: Connect, waits: list[float]) -> None:
    server = Server()
    engine = connect(server)
    once(server, (400, {"error": {"message": f"too long for {KEY}\nstack trace"}}))
    assert error(ask(engine, Generate("p", "c"))[0]) == "HTTP 400: too long for ***"
    assert (len(server.asked), waits) == (1, [])


@pytest.mark.parametrize("body", [{"message": "why"}, {"detail": "why"}, {"error": "why"}, "why"])
def test_the_servers_words_are_found(connect: Connect, body: Any) -> None:
    server = Server()
    engine = connect(server)
    once(server, (422, body))
    assert error(ask(engine, Generate("p", "c"))[0]) == "HTTP 422: why"


def test_a_dropped_connection_is_tried_again(connect: Connect, waits: list[float]) -> None:
    server, drops = Server(), [1, 1]

    def dropping(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST" and drops:
            drops.pop()
            raise httpx2.ReadError(f"connection reset, {KEY}")
        return server(request)

    assert connect(dropping).capabilities == {Generate, NextToken}
    assert len(waits) == 2


def test_a_server_that_is_gone_ends_the_run(connect: Connect) -> None:
    server, gone = Server(), threading.Event()

    def dying(request: httpx2.Request) -> httpx2.Response:
        if gone.is_set():
            raise httpx2.ConnectError("connection refused")
        return server(request)

    engine = connect(dying)
    gone.set()
    few = ask(engine, *(Generate(str(number), "c") for number in range(3)))
    assert {error(answer) for answer in few} == {"no answer: connection refused"}
    with pytest.raises(EngineError, match="the server stopped answering: no answer: connection refused"):
        ask(engine, *(Generate(str(number), "c") for number in range(100)))


def test_a_run_may_be_left_early(connect: Connect) -> None:
    server = Server()
    answers = connect(server).run([Generate(str(number), "c") for number in range(50)])
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert 1 <= len(server.asked) <= 50


# What cannot be used


def test_a_missing_address_names_the_way_out() -> None:
    with pytest.raises(ModelError, match=r"openai:tiny needs an address: give --base-url .* or set OPENAI_BASE_URL"):
        OpenAIEngine(EngineOptions("openai:tiny"))


def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.test/v1/")
    with closing(OpenAIEngine(EngineOptions("openai:tiny"), transport=httpx2.MockTransport(Server()))) as engine:
        assert engine.info.facts["endpoint"] == "http://elsewhere.test/v1/"


@pytest.mark.parametrize("url", ["localhost:8000/v1", "server.test/v1", "http://[::1/v1", "ftp://server.test/v1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ModelError, match="give http://HOST:PORT/v1"):
        OpenAIEngine(EngineOptions("openai:tiny", base_url=url))


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ModelError, match="names no model"):
        OpenAIEngine(EngineOptions("openai:", base_url=URL))


@pytest.mark.parametrize(
    "options",
    [
        EngineOptions("openai:a", base_url=URL, quantization="nf4"),
        EngineOptions("openai:a", base_url=URL, dtype="float16"),
    ],
)
def test_the_form_of_a_model_is_its_servers_business(options: EngineOptions) -> None:
    # A variant that is the same model again would change nothing, and pass.
    with pytest.raises(ModelError, match="an endpoint serves its model as it is; leave dtype and quantization out"):
        OpenAIEngine(options)


def test_a_server_that_does_not_listen_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ModelError, match=rf"http://127.0.0.1:{port}/v1/? cannot be reached .*refused"):
            OpenAIEngine(EngineOptions("openai:tiny", base_url=f"http://127.0.0.1:{port}/v1"))


def test_a_refused_key_is_masked(connect: Connect) -> None:
    with pytest.raises(ModelError, match="refuses the key in OPENAI_API_KEY") as caught:
        connect(Server(key="another"))
    assert "HTTP 401: Incorrect API key: Bearer ***" in str(caught.value)
    assert "second line" not in str(caught.value)
    assert KEY not in str(caught.value) + repr(caught.value)


def test_a_missing_key_is_asked_for(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ModelError, match="refuses requests without a key; set OPENAI_API_KEY"):
        connect(Server(key=KEY))


@pytest.mark.parametrize("key", ["sk-sécret", "sk-sec\nret"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ModelError, match="OPENAI_API_KEY holds characters") as caught:
        OpenAIEngine(EngineOptions("openai:tiny", base_url=URL))
    assert "sec" not in str(caught.value)


def test_an_unknown_model_is_answered_with_what_there_is(connect: Connect) -> None:
    with pytest.raises(ModelError, match=r"no model 'tinny': did you mean 'openai:tiny'\? It offers: tiny, large"):
        connect(Server(), model="openai:tinny")


def test_an_address_without_routes_is_questioned(connect: Connect) -> None:
    with pytest.raises(ModelError, match=r"completes no text .* up to and with /v1.*/completions: HTTP 404: Not Found"):
        connect(Server(routes=()))


def test_a_probe_that_takes_too_long_is_given_up(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "_PROBE_SECONDS", 0.0)
    with pytest.raises(ModelError, match="too slow to be tried out"):
        connect(Server())


def test_nothing_shows_the_key(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    server = Server()
    engine = connect(server)
    once(server, (400, f"{'x' * 295}{KEY}"))
    failure = error(ask(engine, Generate("p", "c"))[0])
    assert "sk-" not in failure, "a message cut short leaves no part of a key"
    shown = [
        engine,
        engine.info,
        engine._client,
        engine._client.address,
        engine._client.address._key,
        engine.endpoint,
        engine._client._http,
        engine._client._http.headers,
    ]
    assert KEY not in "".join(repr(thing) + str(thing) for thing in shown) + caplog.text


def test_credentials_in_the_address_are_sent_and_not_recorded() -> None:
    tokens = []

    def server(request: httpx2.Request) -> httpx2.Response:
        tokens.append(request.url.params.get("token"))
        return Server()(request)

    options = EngineOptions("openai:tiny", base_url="http://me:hunter2@server.test/v1?token=hunter2")
    with closing(OpenAIEngine(options, transport=httpx2.MockTransport(server))) as engine:
        assert "hunter2" not in str(engine.info)
    assert set(tokens) == {"hunter2"}


# Over a real socket


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of = Server(key=KEY)

    def do_GET(self) -> None:
        self._reply(b"")

    def do_POST(self) -> None:
        self._reply(self.rfile.read(int(self.headers["Content-Length"])))

    def _reply(self, content: bytes) -> None:
        url = f"http://{self.headers['Host']}{self.path}"
        request = httpx2.Request(self.command, url, headers=list(self.headers.items()), content=content)
        response = self.server_of(request)
        self.send_response(response.status_code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        self.wfile.write(response.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_end_to_end(address: str) -> None:
    engine = build_engine(EngineOptions("openai:tiny", base_url=address))
    with closing(engine):
        assert engine.capabilities == {Generate, NextToken}
        requests = [Generate(f"prompt {number}", "c", chat=number % 2 == 0) for number in range(40)]
        answers = ask(engine, *requests, NextToken("p", "c", top=1))
    seeds = [openai._request_seed(0, request.prompt, 0) for request in requests]
    assert [answer.text for answer in answers if isinstance(answer, Completion)] == [f"text {seed}" for seed in seeds]
    assert isinstance(answers[-1], NextTokens)
    assert answers[-1].top == ((" a", -0.3),)
