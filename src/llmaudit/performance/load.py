"""The load that is put on a served model: how a suite writes it, and when its requests are due."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import takewhile
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from llmaudit.audit import Spec

__all__ = ["ClosedLoop", "LoadParams", "OpenLoop", "Targets", "arrivals", "payload_of", "prompt_of"]


class OpenLoop(Spec):
    """Requests come by themselves, as those of many independent users do: a Poisson process."""

    rate: float = Field(gt=0, allow_inf_nan=False)
    """Requests per second, on average."""


class ClosedLoop(Spec):
    """So many users, each of whom asks again as soon as the answer to the last request is complete."""

    users: int = Field(ge=1)


class Targets(Spec):
    """What a request must keep to count as served well, in seconds."""

    ttft: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """To the first token."""
    tpot: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Per token after the first."""
    e2e: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """To the last token."""

    @model_validator(mode="after")
    def _something(self) -> Targets:
        if not self.limits:
            raise ValueError("names no target: give ttft, tpot or e2e, in seconds")
        return self

    @property
    def limits(self) -> Mapping[str, float]:
        """Latency -> its target, of those that have one."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


class LoadParams(Spec):
    """A load on an OpenAI-compatible endpoint, measured from the client's side."""

    open: OpenLoop | None = None
    """Requests at a rate, whether or not earlier ones are answered: what the public does to a server."""
    closed: ClosedLoop | None = None
    """A number of users who wait for their answers: what a pool of workers does to a server."""
    requests: int = Field(default=60, ge=1)
    """Requests of one repetition, at most."""
    seconds: float = Field(default=60, gt=0, allow_inf_nan=False)
    """After so long no further request of a repetition is sent; those under way are waited for."""
    timeout: float = Field(default=60, gt=0, allow_inf_nan=False)
    """Seconds after which a request is given up, and counts as failed."""
    repetitions: int = Field(default=10, ge=1)
    """How often the load is put on the server, drained in between: the unit of analysis."""
    warm_up: int = Field(default=4, ge=1)
    """Requests asked one by one before the first repetition, which count for nothing."""
    max_new_tokens: int = Field(default=64, ge=1)
    ignore_eos: bool = False
    """Whether to ask for answers of exactly `max_new_tokens` tokens: `ignore_eos` of vLLM and SGLang."""
    prompt: Literal["raw", "chat"] = "chat"
    """Whether prompts go to /completions as they are, or to /chat/completions as one user turn."""
    distinct: bool = True
    """Whether every prompt begins with a number of its own, so that no answer comes from a cache of prefixes."""
    goodput: Targets | None = None
    """Targets of a request that is served well; goodput is the rate of those (Zhong et al. 2024, DistServe)."""

    @model_validator(mode="after")
    def _one_loop(self) -> LoadParams:
        if (self.open is None) == (self.closed is None):
            raise ValueError("a load is either open or closed: give open: {rate: ...} or closed: {users: ...}")
        return self


def arrivals(load: LoadParams, seed: int, repetition: int) -> tuple[float, ...]:
    """Seconds from the start of a repetition at which the requests of an open loop are due; empty for a closed one.

    Drawn beforehand, so that no answer of the server has a say in them: gaps are exponential with mean 1/rate. The
    same seed and repetition give the same moments.
    """
    if load.open is None:
        return ()
    rng = np.random.default_rng([seed, repetition])
    moments = np.cumsum(rng.exponential(1 / load.open.rate, load.requests))
    return tuple(takewhile(lambda moment: moment < load.seconds, moments.tolist()))


def prompt_of(prompts: tuple[str, ...], load: LoadParams, seed: int, repetition: int, number: int) -> str:
    """The prompt of one request: the prompts in turn, each behind a number that no other request has."""
    text = prompts[number % len(prompts)]
    if not load.distinct:
        return text
    digest = hashlib.blake2b(f"{seed}\x1f{repetition}\x1f{number}".encode(), digest_size=4).hexdigest()
    return f"[{digest}] {text}"


def payload_of(load: LoadParams, model: str, prompt: str) -> dict[str, Any]:
    """The body of a streaming request, but for `stream_options`: greedy, so that no server spends time on more."""
    asked: dict[str, Any] = (
        {"prompt": prompt} if load.prompt == "raw" else {"messages": [{"role": "user", "content": prompt}]}
    )
    fixed = {"ignore_eos": True, "min_tokens": load.max_new_tokens} if load.ignore_eos else {}
    return {
        "model": model,
        **asked,
        "max_tokens": load.max_new_tokens,
        "temperature": 0.0,
        **fixed,
        "stream": True,
    }
