"""A/A: an audit of the same model again. What differs is noise, and no finding may be smaller than it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from llmaudit.audit import Measurement
from llmaudit.engines.base import Anatomical, Engine, Steerable
from llmaudit.execution import Execution, Finished
from llmaudit.records import NoiseFloor
from llmaudit.types import Generate, Request, Response

__all__ = ["measure_noise"]

#: How many calls the requests are spread over, so that other rows share a batch.
_PORTIONS = 3


def measure_noise(finished: Finished, execution: Execution) -> tuple[NoiseFloor, ...]:
    """Run an audit twice more, past the store: in other batches with the same draws, and with other draws.

    `execution` is what the audit ran in. The first repetition shows what the arithmetic moves (in float32 the last
    digits of likelihoods, and samples only at ties), the second what drawing again moves. An audit that compares models
    with one another has none: texts are read one by one there, and nothing is drawn.
    """
    if finished.entry.audit.compares_variants:
        return ()
    batches = _again(finished, execution, lambda request: request)
    draws = _again(finished, execution, _redrawn)
    return tuple(
        NoiseFloor.of(metric, estimate.value, batches.estimates[metric].value, draws.estimates[metric].value)
        for metric, estimate in finished.measurement.estimates.items()
        if metric in batches.estimates and metric in draws.estimates  # changes under variants are not measured again
    )


def _again(finished: Finished, execution: Execution, change: Callable[[Request], Request]) -> Measurement:
    again = Execution(
        _Disturbed(execution.engine, change),
        execution.tokenizer_of,
        execution.progress,
        smoke=finished.smoke,
        engine_of=execution.engine_of,
    )
    try:
        measurement, _ = finished.entry.audit.run(again)
    finally:
        again.close()
    return measurement


class _Disturbed:
    """An engine that is asked the same in another way."""

    def __init__(self, engine: Engine, change: Callable[[Request], Request]) -> None:
        self._engine = engine
        self._change = change
        self.info = engine.info
        self.capabilities = engine.capabilities
        self.steering = engine.steering if isinstance(engine, Steerable) else frozenset()
        if isinstance(engine, Anatomical):
            self.anatomy = engine.anatomy
            self.cache_bytes_per_token = engine.cache_bytes_per_token
            self.read_texts = engine.read_texts

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        for start in range(_PORTIONS):
            portion = range(start, len(requests), _PORTIONS)
            for place, response in self._engine.run([self._change(requests[index]) for index in portion]):
                yield portion[place], response

    def close(self) -> None:
        """The engine belongs to the session."""


def _redrawn(request: Request) -> Request:
    """Give a completion another random stream; groups that shared one still do."""
    if not isinstance(request, Generate):
        return request
    return replace(request, stream=f"{request.stream or request.prompt}\x1fA/A")
