"""Sampled completions: llmaudit against the notebook loop, the loop without a cache, and two ways to batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks import table
from benchmarks.breakdown import breakdown
from benchmarks.contest import Contender, Result, race
from benchmarks.figures import Outcome, ratio
from benchmarks.floors import Machine, generation_floor
from benchmarks.machine import measure_machine, size_of
from benchmarks.models import Models, Peer
from benchmarks.peers import generation
from benchmarks.peers.continuous import ContinuousBatching
from benchmarks.prompts import prompts
from benchmarks.settings import Settings
from llmaudit.engines.base import Engine
from llmaudit.types import Completion, Generate, Request, Sampling

__all__ = ["ROWS", "TEMPERATURE", "complete", "endless", "generate"]

ROWS = 64
TEMPERATURE = 0.8
_TOKENS = 40
#: Completions of each prompt, in the batches.
_SAMPLES = 8
#: Tokens per completion under the profiler.
_PROFILED_TOKENS = 8


@dataclass(frozen=True, slots=True)
class _Sizes:
    """How much each contender does in a repetition; what is compared is items per second."""

    prompts: int
    batched_prompts: int
    one_by_one: int
    without_cache: int
    continuous: int


_FULL = _Sizes(prompts=64, batched_prompts=16, one_by_one=8, without_cache=4, continuous=64)
_QUICK = _Sizes(prompts=8, batched_prompts=8, one_by_one=2, without_cache=1, continuous=8)


def generate(models: Models, settings: Settings) -> Outcome:
    """Run the job."""
    sizes = _QUICK if settings.quick else _FULL
    sampling = replace(endless(models.peer, tokens=_TOKENS), temperature=TEMPERATURE)
    continuous = ContinuousBatching(models.peer, rows=ROWS, tokens=_TOKENS, temperature=TEMPERATURE)
    contenders = [
        _llmaudit(models.engine, _requests(_some(sizes.prompts), sampling)),
        _one_by_one(models.peer, sizes),
        _without_cache(models.peer, sizes),
        _batched(models.peer, sizes),
        Contender(
            "generate_batch",
            lambda: continuous.complete(_some(1)),
            lambda _: continuous.complete(_some(sizes.continuous)),
        ),
    ]
    before = measure_machine(models)
    results = race("generate", contenders, settings.repetitions)
    continuous.close()
    figures = {
        "generate_vs_naive": ratio(results["llmaudit"], results["naive"]),
        "generate_vs_batched": ratio(results["llmaudit"], results["batched"]),
    }
    return Outcome(figures, _floor(models, before.or_better(measure_machine(models)), results["llmaudit"]))


def endless(peer: Peer, *, tokens: int) -> Sampling:
    """A sampling that never draws an end token, so that every completion has all its tokens."""
    return Sampling(max_new_tokens=tokens, logit_bias=tuple((token, -100.0) for token in peer.ends))


def complete(engine: Engine, requests: Sequence[Request], tokens: int) -> int:
    """Have llmaudit complete the requests; returns their number. Raises where one is not as long as asked."""
    count = 0
    for _, response in engine.run(requests):
        if not isinstance(response, Completion):
            raise TypeError(f"the answer is {response}")
        generation.check_length(response.tokens, tokens)
        count += 1
    return count


def _some(count: int) -> list[str]:
    """So many prompts, spread over the templates."""
    every = prompts()
    return every[:: len(every) // count]


def _requests(chosen: Sequence[str], sampling: Sampling) -> list[Request]:
    return [Generate(prompt, "", sampling, sample) for prompt in chosen for sample in range(_SAMPLES)]


def _llmaudit(engine: Engine, requests: Sequence[Request]) -> Contender:
    return Contender(
        "llmaudit",
        lambda: complete(engine, requests[:_SAMPLES], _TOKENS),
        lambda _: complete(engine, requests, _TOKENS),
    )


def _one_by_one(peer: Peer, sizes: _Sizes) -> Contender:
    def work(chosen: Sequence[str]) -> int:
        return generation.one_by_one(peer, chosen, tokens=_TOKENS, temperature=TEMPERATURE)

    return Contender("naive", lambda: work(_some(1)), lambda _: work(_some(sizes.one_by_one)))


def _without_cache(peer: Peer, sizes: _Sizes) -> Contender:
    def work(chosen: Sequence[str]) -> int:
        return generation.without_cache(peer, chosen, tokens=_TOKENS, temperature=TEMPERATURE)

    return Contender("naive without cache", lambda: work(_some(1)), lambda _: work(_some(sizes.without_cache)))


def _batched(peer: Peer, sizes: _Sizes) -> Contender:
    def work(chosen: Sequence[str]) -> int:
        rows = [prompt for prompt in chosen for _ in range(_SAMPLES)]
        return generation.batched(peer, rows, rows=ROWS, tokens=_TOKENS, temperature=TEMPERATURE)

    return Contender("batched", lambda: work(_some(1)), lambda _: work(_some(sizes.batched_prompts)))


def _floor(models: Models, machine: Machine, llmaudit: Result) -> list[str]:
    if llmaudit.failure is not None:
        return []
    asked = prompts()
    lengths = [len(models.peer.tokenizer(prompt)["input_ids"]) for prompt in asked]
    floor = generation_floor(machine, size_of(models.peer.model), ROWS, sum(lengths) / len(lengths) + _TOKENS / 2)
    table.progress("generate: a short run under the profiler")
    sampling = replace(endless(models.peer, tokens=_PROFILED_TOKENS), temperature=TEMPERATURE)
    shares = breakdown(models.engine, _requests(_some(ROWS // _SAMPLES), sampling))
    return [machine.line(models.dtype), floor.line("generation", 1 / (llmaudit.rate * _TOKENS)), f"generation {shares}"]
