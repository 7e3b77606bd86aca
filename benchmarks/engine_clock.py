"""A pytest plugin that times the engine of a session: `-p benchmarks.engine_clock`.

It writes the seconds of loading and of waiting for answers to the file that LLMAUDIT_BENCH_CLOCK names.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from llmaudit.engines.base import Engine
from llmaudit.types import ModelInfo, Request, Response

__all__ = ["VARIABLE", "Clock", "ClockedEngine"]

VARIABLE = "LLMAUDIT_BENCH_CLOCK"


@dataclass(slots=True)
class Clock:
    """Seconds spent on behalf of the model, and the number of its answers."""

    loading: float = 0.0
    """From the wish for an engine to the engine: imports of torch and transformers, hash and weights."""
    engine: float = 0.0
    """Waiting for the next answer; what the session does with an answer is not counted."""
    answers: int = 0


class ClockedEngine:
    """Hands everything on to another engine, and counts how long its answers take."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    @property
    def info(self) -> ModelInfo:
        """The other engine's."""
        return self._engine.info

    @property
    def capabilities(self) -> frozenset[type[Request]]:
        """The other engine's."""
        return self._engine.capabilities

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer with the other engine's answers."""
        answers = iter(self._engine.run(requests))
        while True:
            started = time.perf_counter()
            answer = next(answers, None)
            self._clock.engine += time.perf_counter() - started
            if answer is None:
                return
            self._clock.answers += 1
            yield answer

    def close(self) -> None:
        """Close the other engine."""
        self._engine.close()


_clock = Clock()


@pytest.hookimpl(wrapper=True)
def pytest_llmaudit_make_engine() -> Generator[None, Engine | None, Engine | None]:
    """Time the loading, and put the clock around the engine."""
    started = time.perf_counter()
    try:
        engine = yield
    finally:
        _clock.loading += time.perf_counter() - started
    return None if engine is None else ClockedEngine(engine, _clock)


def pytest_sessionfinish() -> None:
    """Write what the clock shows."""
    Path(os.environ[VARIABLE]).write_text(json.dumps(asdict(_clock)), encoding="utf-8")
