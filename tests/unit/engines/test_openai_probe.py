from __future__ import annotations

import math

import pytest

from llmaudit.engines.openai_probe import Ask, Findings, RefusedError, Route, probe
from llmaudit.types import Completion, Generate, NextToken, NextTokens, Sampling

LOGPROBS = (("a", -0.5), ("b", -1.5))


def honest(route: Route, prompt: str, sampling: Sampling, seed: int) -> Completion:
    text = f"sampled {seed}" if sampling.temperature else "greedy"
    return Completion(text, 2, "stop", prompt)


def saying(*texts: str) -> Ask:
    """A server that says these texts in turn, on every route."""
    turns = {"completions": iter(texts), "chat": iter(texts)}
    return lambda route, prompt, sampling, seed: Completion(next(turns[route]), 1, "stop", prompt)


def refusing(status: int | None, *, hot: bool = True, cold: bool = True, route: Route | None = None) -> Ask:
    def ask(at: Route, prompt: str, sampling: Sampling, seed: int) -> Completion:
        if (route in {None, at}) and (hot if sampling.temperature else cold):
            raise RefusedError("not so", status)
        return honest(at, prompt, sampling, seed)

    return ask


def found(ask: Ask = honest, top: tuple[tuple[str, float], ...] = LOGPROBS) -> Findings:
    return probe(ask, lambda prompt, number: NextTokens(top, math.nan))


def test_an_honest_server_is_trusted_with_everything_that_it_can_do() -> None:
    findings = found()
    assert findings.capabilities == {Generate, NextToken}
    assert findings.facts() == {
        "probe.completions": "answers",
        "probe.completions.temperature": "works",
        "probe.completions.greedy": "works",
        "probe.completions.seed": "works",
        "probe.chat": "answers",
        "probe.chat.temperature": "works",
        "probe.chat.greedy": "works",
        "probe.chat.seed": "works",
        "probe.logprobs": "works",
        "probe.logit_bias": "not offered: an endpoint does not tell the ids of its tokens",
    }


def test_the_probe_is_short() -> None:
    asked = []

    def ask(route: Route, prompt: str, sampling: Sampling, seed: int) -> Completion:
        asked.append((route, sampling.temperature, seed))
        assert sampling.max_new_tokens <= 16
        return honest(route, prompt, sampling, seed)

    found(ask)
    assert len(asked) == 14


def test_a_server_that_ignores_temperature_is_trusted_with_greedy_completions_alone() -> None:
    findings = found(saying(*["same"] * 6))
    route = findings.routes["completions"]
    assert (route.temperature.words, route.greedy.words, route.seed.words) == ("ignored", "works", "not tried")
    assert findings.capabilities == {Generate, NextToken}
    assert route.objection(Sampling(temperature=0.0)) is None
    objection = route.objection(Sampling(temperature=0.7))
    assert objection is not None
    assert objection.startswith("temperature 0.7 was not honoured when this endpoint was probed: ignored; ")


def test_a_server_that_samples_at_its_own_temperature_is_trusted_with_nothing() -> None:
    findings = found(saying(*"abcdef"))
    route = findings.routes["chat"]
    assert (route.temperature.words, route.greedy.words) == ("ignored", "ignored")
    assert Generate not in findings.capabilities


def test_one_greedy_completion_out_of_three_may_differ() -> None:
    route = found(saying("a", "b", "c", "g", "g", "h", "a")).routes["chat"]
    assert route.greedy.works
    assert "differed" in route.greedy.words
    assert route.temperature.works


def test_a_seed_that_does_not_repeat_is_a_fact_and_no_obstacle() -> None:
    route = found(saying("a", "b", "c", "g", "g", "g", "z")).routes["chat"]
    assert not route.seed.works
    assert route.seed.words.startswith("ignored")
    assert route.objection(Sampling(temperature=1.0)) is None


def test_empty_completions_show_nothing() -> None:
    route = found(saying(*[""] * 6)).routes["completions"]
    assert route.temperature.words == "unknown: every completion was empty"
    assert "unknown" in str(route.objection(Sampling(temperature=1.0)))


def test_a_server_may_refuse_one_temperature_and_answer_the_other() -> None:
    hot = found(refusing(400, hot=True, cold=False)).routes["chat"]
    assert hot.refusal is None
    assert (hot.temperature.words, hot.greedy.words) == ("refused: not so", "works")
    cold = found(refusing(422, hot=False, cold=True)).routes["chat"]
    assert (cold.temperature.words, cold.greedy.words, cold.seed.words) == ("works", "refused: not so", "works")


@pytest.mark.parametrize("status", [400, 404, 500, None])
def test_a_route_that_refuses_is_not_used(status: int | None) -> None:
    findings = found(refusing(status, route="completions"))
    assert str(findings.routes["completions"].refusal) == "not so"
    assert findings.routes["chat"].usable
    assert findings.capabilities == {Generate}, "the next token is asked of /completions, which is missing"
    assert findings.facts()["probe.completions"] == "not so"


def test_a_refused_repetition_leaves_the_seed_unknown() -> None:
    calls = []

    def ask(route: Route, prompt: str, sampling: Sampling, seed: int) -> Completion:
        calls.append(seed)
        if calls.count(1) == 2:
            raise RefusedError("busy", 429)
        return honest(route, prompt, sampling, seed)

    assert found(ask).routes["completions"].seed.words == "unknown: busy"


@pytest.mark.parametrize(
    "top",
    [
        (),
        (("a", 0.0),),
        (("a", 0.9), ("b", 0.1)),
        (("a", -0.1), ("b", -0.1)),
        (("a", -1.0), ("b", -1.0)),
        (("a", math.nan), ("b", -1.0)),
    ],
    ids=["none", "one", "positive", "more than one in sum", "uniform", "nan"],
)
def test_numbers_that_are_no_log_probabilities_are_not_trusted(top: tuple[tuple[str, float], ...]) -> None:
    findings = found(top=top)
    assert NextToken not in findings.capabilities
    assert findings.logprobs.words.startswith("not log-probabilities")


def test_refused_log_probabilities_are_not_offered() -> None:
    def predict(prompt: str, top: int) -> NextTokens:
        raise RefusedError("null", 200)

    findings = probe(honest, predict)
    assert findings.capabilities == {Generate}
    assert findings.facts()["probe.logprobs"] == "refused: null"
