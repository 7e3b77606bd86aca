"""How fast a model answers here and now, by asking it a little of what the plan holds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from llmaudit.engines.base import Engine
from llmaudit.planning.rates import Rates
from llmaudit.types import Completion, Generate, Likelihood, Request, Response, Score

__all__ = ["CALIBRATION_SECONDS", "calibrate"]

#: What a calibration may take in all, the loading of the model left out.
CALIBRATION_SECONDS = 10.0
#: How many requests are asked first, and how many at most: as many as are decoded side by side.
_FIRST, _MOST = 4, 64
#: A completion is cut here: the time of a token does not hang on how many follow.
_NEW_TOKENS = 16


def calibrate(engine: Engine, requests: Sequence[Request], seconds: float = CALIBRATION_SECONDS) -> Rates:
    """Measure rates by asking the engine some of the requests, of every sort for an equal share of the time.

    The answers are thrown away. A sort that is not asked for, or that the engine does not answer, has no rate.
    """
    sorts: list[list[Request]] = [[], [], []]
    for request in requests:
        if type(request) in engine.capabilities:
            place = 0 if isinstance(request, Generate) else 1 if isinstance(request, Score) else 2
            sorts[place].append(_short(request))
    asked = [sort for sort in sorts if sort]
    generated, scored, other = (_rate(engine, sort, seconds / len(asked)) if sort else None for sort in sorts)
    return Rates(generated, scored, other, f"measured by a calibration of {seconds:g} s at most")


def _short(request: Request) -> Request:
    if not isinstance(request, Generate) or request.sampling.max_new_tokens <= _NEW_TOKENS:
        return request
    return replace(request, sampling=replace(request.sampling, max_new_tokens=_NEW_TOKENS))


def _rate(engine: Engine, requests: Sequence[Request], seconds: float) -> float | None:
    """Ask ever more requests while twice as many are likely to fit the time; the last portion, warm, gives the rate."""
    size, left, rate = _FIRST, seconds, None
    while True:
        # Spread over the audit, since its prompts may be of different lengths.
        step = max(1, len(requests) // size)
        portion = requests[::step][:size]
        started = time.perf_counter()
        amount = sum(_amount(response) for _, response in engine.run(portion))
        spent = time.perf_counter() - started
        rate = amount / spent if amount else rate
        left -= spent
        if size >= _MOST or len(portion) < size or left < 2 * spent:
            return rate
        size *= 2


def _amount(response: Response) -> int:
    """What is counted of an answer: tokens written, tokens scored, or itself."""
    return response.tokens if isinstance(response, Completion | Likelihood) else 1
