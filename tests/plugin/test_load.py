"""A served model under load, from the suite on disk to the report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.performance.streaming_server import StreamingServer

if TYPE_CHECKING:
    from llmaudit.records import EstimateRecord
    from tests.plugin.conftest import Project

#: What nobody else says, so that it can be looked for.
_WORDS = (" sesame", " opens", " nothing")

_SUITE = """\
suite: serving
audits:
  chat:
    kind: performance
    load:
      closed: {users: 2}
      requests: 4
      repetitions: 10
      warm_up: 1
      timeout: 20
      max_new_tokens: 3
      goodput: {ttft: 15}
    prompts: [Tell me about the harbour.]
    checks:
      failure_rate: {max: 0.3, why: most requests are answered}
      goodput_share: {min: 0.7, why: fifteen seconds are long}
      ttft: {max: 0.0001, why: no server is so quick}
      e2e_p99: {max: 60, why: no repetition has so many requests}
      requests_per_second: {role: exploratory}
"""


def _answer(path: str, payload: dict[str, Any]) -> tuple[int, str, bytes] | None:
    """What the engine asks before the load is put on, which no stream answers."""
    if payload.get("stream"):
        return None
    choice: dict[str, Any] = {"finish_reason": "length", "text": " yes", "logprobs": None}
    if path.endswith("chat/completions"):
        choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": " yes"}}
    return 200, "application/json", json.dumps({"choices": [choice], "usage": {"completion_tokens": 1}}).encode()


@pytest.fixture
def server() -> StreamingServer:
    return StreamingServer(first=0.002, gap=0.001, pieces=_WORDS, usage=3, override=_answer)


@pytest.fixture(autouse=True)
def served(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is the built-in one, and the environment names no server of its own."""
    project.file("conftest.py", "")
    project.suite(_SUITE, name="serving")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def _run(project: Project, server: StreamingServer, *arguments: str) -> pytest.RunResult:
    with server.running() as endpoint:
        project.options = ["--engine=openai", "--model=tiny", "-pno:hypothesispytest", "-pno:anyio"]
        return project.run(f"--base-url={endpoint.address}", *arguments)


def _estimate(project: Project, metric: str) -> EstimateRecord:
    found = [record.estimate for record in project.result().records if record.metric == metric]
    assert found[0] is not None
    return found[0]


def test_a_load_on_a_server_is_judged_and_recorded(project: Project, server: StreamingServer) -> None:
    result = _run(project, server)
    result.stdout.fnmatch_lines(
        [
            "llmaudit: chat::e2e_p99 cannot be decided: design: n too small: p99 needs 299 requests in a repetition,*",
            "FAILED * chat::ttft *",
            "INCONCLUSIVE * chat::e2e_p99 *",
            "PASSED * chat::failure_rate *",
            "PASSED * chat::goodput_share *",
        ]
    )
    streamed = [payload for _, payload, _ in server.asked if payload.get("stream")]
    # One that finds out whether the server counts its tokens, one of warm-up, ten repetitions of four.
    assert len(streamed) == 2 + 10 * 4
    assert all(payload["max_tokens"] == 3 for payload in streamed)
    rate = _estimate(project, "requests_per_second")
    assert (rate.clusters, rate.n, rate.missing) == (10, 40, 0)
    assert None not in (rate.low, rate.value, rate.high)
    assert 0 < (rate.low or 0) <= (rate.value or 0) <= (rate.high or 0)


def test_no_answer_of_the_server_reaches_the_terminal(project: Project, server: StreamingServer) -> None:
    told = _run(project, server).stdout.str()
    assert "sesame" not in told


def test_requests_that_fail_are_counted_and_flatter_no_latency(project: Project, server: StreamingServer) -> None:
    def failing(path: str, payload: dict[str, Any]) -> tuple[int, str, bytes] | None:
        if payload.get("stream") and sum(asked.get("stream", False) for _, asked, _ in server.asked) > 2 + 20:
            return 503, "application/json", b'{"error": {"message": "too many of you"}}'
        return _answer(path, payload)

    server.override = failing
    result = _run(project, server)
    result.stdout.fnmatch_lines(["INCONCLUSIVE * chat::ttft *", "*in 5 of 10 repetitions so many requests failed*"])
    failures = _estimate(project, "failure_rate")
    assert (failures.value, failures.missing) == (0.5, 20)
    assert any("20 of 40 requests failed" in note for note in project.result().audits[0].notes)


def test_a_server_that_does_not_stream_is_an_error_of_its_audit(project: Project, server: StreamingServer) -> None:
    server.override = lambda path, payload: _answer(path, {key: payload[key] for key in payload if key != "stream"})
    result = _run(project, server)
    result.stdout.fnmatch_lines(["ERROR * chat::ttft *the server does not stream: it answers in one piece*"])


def test_a_smoke_run_asks_two_requests_once(project: Project, server: StreamingServer) -> None:
    _run(project, server, "--smoke")
    assert len([payload for _, payload, _ in server.asked if payload.get("stream")]) == 2 + 2
