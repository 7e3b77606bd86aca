"""What an OpenAI-compatible endpoint really does, tried out before it is trusted.

Real servers answer 200 and ignore a temperature, a seed or a request for log-probabilities. An audit of the spread of
a model's answers would then report that there is none. So each route is asked a handful of times, and what it did is
written down as a finding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from llmaudit.errors import EngineError
from llmaudit.types import Completion, Generate, NextToken, NextTokens, Request, Sampling

__all__ = ["Ask", "Finding", "Findings", "Predict", "RefusedError", "Route", "RouteFindings", "probe"]

#: The two ways to ask for a completion: a raw prompt, and a user's turn.
Route = Literal["completions", "chat"]

#: Completes a prompt on a route, with a seed. Raises RefusedError.
Ask = Callable[[Route, str, Sampling, int], Completion]

#: Returns the most likely next tokens of a raw prompt. Raises RefusedError.
Predict = Callable[[str, int], NextTokens]

_PROMPTS: dict[Route, str] = {
    "completions": "Once upon a time, in a small village by the sea, there lived",
    "chat": "Make up the beginning of a story about anything you like.",
}
#: Long enough that two sampled texts differ, short enough for a server that takes a second per token.
_TOKENS = 16
_HOT = Sampling(temperature=1.8, max_new_tokens=_TOKENS)
_COLD = Sampling(temperature=0.0, max_new_tokens=_TOKENS)
_HOT_SEEDS = (1, 2, 3)
# Other seeds for each: a server that ignores temperature 0, but not the seed, repeats itself under one seed.
_COLD_SEEDS = (4, 5, 6)
_TOP = 5
#: How far probabilities that servers round may add up beyond one.
_ROUNDING = 0.01


class RefusedError(EngineError):
    """An endpoint did not answer a request. `status` is None where no HTTP response came at all."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a feature can be relied on, and in words what was seen."""

    works: bool
    words: str


_UNTRIED = Finding(works=False, words="not tried")
_IGNORED = Finding(works=False, words="ignored")
#: What a user can do about a temperature that is ignored.
_REMEDY = (
    "; no wrong sample is passed on. Serve the model with software that honours temperature (transformers serve does"
    " where the model's generation_config has do_sample: true)"
)


@dataclass(frozen=True, slots=True)
class RouteFindings:
    """What one route does."""

    refusal: RefusedError | None = None
    """Why the route cannot be used; None where it answers."""
    temperature: Finding = _UNTRIED
    greedy: Finding = _UNTRIED
    seed: Finding = _UNTRIED

    @property
    def usable(self) -> bool:
        """Whether it can complete a prompt in at least one of the two ways."""
        return self.refusal is None and (self.temperature.works or self.greedy.works)

    def objection(self, sampling: Sampling) -> str | None:
        """Why a completion under `sampling` would not be what was asked for; None where it would be."""
        finding = self.temperature if sampling.temperature > 0 else self.greedy
        if finding.works:
            return None
        words = finding.words + _REMEDY if finding == _IGNORED else finding.words
        return f"temperature {sampling.temperature:g} was not honoured when this endpoint was probed: {words}"


@dataclass(frozen=True, slots=True)
class Findings:
    """What an endpoint does."""

    routes: dict[Route, RouteFindings]
    logprobs: Finding

    @property
    def capabilities(self) -> frozenset[type[Request]]:
        """The request types that the endpoint can be trusted with."""
        offered: dict[type[Request], bool] = {
            Generate: any(route.usable for route in self.routes.values()),
            NextToken: self.logprobs.works,
        }
        return frozenset(request for request, works in offered.items() if works)

    def facts(self) -> dict[str, str]:
        """The findings as the run records them."""
        return dict(self._facts())

    def _facts(self) -> Iterator[tuple[str, str]]:
        for name, route in self.routes.items():
            yield f"probe.{name}", "answers" if route.refusal is None else str(route.refusal)
            if route.refusal is None:
                for feature in ("temperature", "greedy", "seed"):
                    yield f"probe.{name}.{feature}", getattr(route, feature).words
        yield "probe.logprobs", self.logprobs.words
        yield "probe.logit_bias", "not offered: an endpoint does not tell the ids of its tokens"


def probe(ask: Ask, predict: Predict) -> Findings:
    """Try both routes: at most seven completions each, and one look at the next token."""
    routes = {route: _route(ask, route) for route in _PROMPTS}
    return Findings(routes, _logprobs(predict) if routes["completions"].refusal is None else _UNTRIED)


def _route(ask: Ask, route: Route) -> RouteFindings:
    hot = _texts(ask, route, _HOT, _HOT_SEEDS)
    if isinstance(hot, RefusedError) and hot.status not in {400, 422}:
        return RouteFindings(hot)
    # A complaint about the parameters may concern this temperature alone.
    cold = _texts(ask, route, _COLD, _COLD_SEEDS)
    if isinstance(hot, RefusedError) and isinstance(cold, RefusedError):
        return RouteFindings(hot)
    greedy = _greedy(cold)
    temperature = _temperature(hot, greedy)
    return RouteFindings(
        temperature=temperature,
        greedy=greedy,
        seed=_seed(ask, route, hot) if isinstance(hot, list) and temperature.works else _UNTRIED,
    )


def _texts(ask: Ask, route: Route, sampling: Sampling, seeds: Sequence[int]) -> list[str] | RefusedError:
    try:
        return [ask(route, _PROMPTS[route], sampling, seed).text for seed in seeds]
    except RefusedError as refusal:
        return refusal


def _greedy(cold: list[str] | RefusedError) -> Finding:
    if isinstance(cold, RefusedError):
        return Finding(works=False, words=f"refused: {cold}")
    match len(set(cold)):
        case 1:
            return Finding(works=True, words="works")
        case 2:
            # Sampled texts would all differ; a busy server's batches move the last bits of the logits now and then.
            return Finding(works=True, words="works, but one of three greedy completions differed")
        case _:
            return _IGNORED


def _temperature(hot: list[str] | RefusedError, greedy: Finding) -> Finding:
    if isinstance(hot, RefusedError):
        return Finding(works=False, words=f"refused: {hot}")
    if not any(hot):
        return Finding(works=False, words="unknown: every completion was empty")
    # Texts that differ at temperature 0 as well are sampled, but not at the temperature that was asked for.
    if len(set(hot)) == 1 or greedy == _IGNORED:
        return _IGNORED
    return Finding(works=True, words="works")


def _seed(ask: Ask, route: Route, hot: list[str]) -> Finding:
    again = _texts(ask, route, _HOT, _HOT_SEEDS[:1])
    if isinstance(again, RefusedError):
        return Finding(works=False, words=f"unknown: {again}")
    works = again == hot[:1]
    return Finding(works, "works" if works else "ignored: the same seed gave another text")


def _logprobs(predict: Predict) -> Finding:
    try:
        values = [value for _, value in predict(_PROMPTS["completions"], _TOP).top]
    except RefusedError as refusal:
        return Finding(works=False, words=f"refused: {refusal}")
    # Sorted by whoever parsed them: the order of a JSON object's keys says nothing.
    total = sum(map(math.exp, values)) if all(value <= _ROUNDING for value in values) else math.inf
    works = len(values) > 1 and total <= 1 + _ROUNDING and values[0] > values[-1]
    return Finding(works, "works" if works else f"not log-probabilities: {values}")
