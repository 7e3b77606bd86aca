"""Puts a load on a served model and notes by the clock what the client sees.

Nothing is tried again: a request that was repeated would tell of two as if they were one. Nothing waits for a place in
a pool of connections either; opening a connection is part of what the client waits for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import httpx2

from llmaudit.engines.address import Endpoint
from llmaudit.engines.openai_client import server_message
from llmaudit.errors import EngineError
from llmaudit.performance.exchanges import Exchange
from llmaudit.performance.load import LoadParams, arrivals, payload_of, prompt_of
from llmaudit.performance.streams import StreamedAnswer

__all__ = ["drive"]

_PATHS: Final = {"raw": "completions", "chat": "chat/completions"}
_USAGE: Final[dict[str, Any]] = {"stream_options": {"include_usage": True}}
#: How a server refuses a field that it does not know.
_REFUSED = ("HTTP 400", "HTTP 422")

#: Sends the request with a number that is due at a moment.
_Ask = Callable[[int, float], Awaitable[Exchange]]
#: Called with (repetitions finished, repetitions in all).
Progress = Callable[[int, int], None]


def drive(
    endpoint: Endpoint, load: LoadParams, prompts: Sequence[str], seed: int, progress: Progress | None = None
) -> tuple[Exchange, ...]:
    """Put the load on the endpoint, repetition after repetition; the server is drained in between.

    Returns every request of every repetition in the order in which they were due, failed ones included. Takes at most
    `repetitions` x (`seconds` + `timeout`), and the warm-up. Raises EngineError where the first request of the warm-up
    shows that the endpoint cannot be measured: it refuses, or answers in one piece without streaming.
    """
    if not prompts:
        raise ValueError("a load needs at least one prompt")
    return asyncio.run(_drive(endpoint, load, tuple(prompts), seed, progress))


async def _drive(
    endpoint: Endpoint, load: LoadParams, prompts: tuple[str, ...], seed: int, progress: Progress | None
) -> tuple[Exchange, ...]:
    found: list[Exchange] = []
    async with endpoint.address.measuring_client() as client:
        sender = _Sender(client, endpoint, load, await _asks_for_usage(client, endpoint, load, prompts[0]))
        for number in range(load.warm_up):
            await sender.ask(prompt_of(prompts, load, seed, 0, number), (0, number), time.perf_counter(), 0.0)
        for repetition in range(1, load.repetitions + 1):
            found += await _repetition(sender, load, prompts, seed, repetition)
            if progress is not None:
                progress(repetition, load.repetitions)
    return tuple(found)


async def _asks_for_usage(
    client: httpx2.AsyncClient, endpoint: Endpoint, load: LoadParams, prompt: str
) -> dict[str, Any]:
    """Find out whether the server may be asked for its count of tokens. Raises EngineError where it does not stream."""
    for extra in (_USAGE, {}):
        tried = await _Sender(client, endpoint, load, extra).ask(prompt, (0, 0), time.perf_counter(), 0.0)
        if tried.error is None:
            return extra
        if not tried.error.startswith(_REFUSED):
            break
    raise EngineError(f"{endpoint.address} cannot be put under load: {tried.error}")


async def _repetition(
    sender: _Sender, load: LoadParams, prompts: tuple[str, ...], seed: int, repetition: int
) -> list[Exchange]:
    start = time.perf_counter()

    async def ask(number: int, due: float) -> Exchange:
        return await sender.ask(prompt_of(prompts, load, seed, repetition, number), (repetition, number), start, due)

    if load.closed is not None:
        return await _closed(ask, load, load.closed.users, start)
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number, due in enumerate(arrivals(load, seed, repetition)):
            await asyncio.sleep(start + due - time.perf_counter())
            tasks.append(group.create_task(ask(number, due)))
    return [task.result() for task in tasks]


async def _closed(ask: _Ask, load: LoadParams, users: int, start: float) -> list[Exchange]:
    numbers = count()
    found: list[Exchange] = []

    async def one_user() -> None:
        while (due := time.perf_counter() - start) < load.seconds and (number := next(numbers)) < load.requests:
            found.append(await ask(number, due))

    async with asyncio.TaskGroup() as group:
        for _ in range(users):
            group.create_task(one_user())
    return sorted(found, key=lambda exchange: exchange.number)


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sends requests to one endpoint, as many at a time as it is asked for."""

    client: httpx2.AsyncClient
    endpoint: Endpoint
    load: LoadParams
    extra: dict[str, Any]

    async def ask(self, prompt: str, place: tuple[int, int], start: float, due: float) -> Exchange:
        """Send a request of (repetition, number) and follow its answer; whatever goes wrong is the exchange's error."""
        payload = payload_of(self.load, self.endpoint.model, prompt) | self.extra
        answer = StreamedAnswer()
        sent = time.perf_counter()
        try:
            async with asyncio.timeout(self.load.timeout):
                error = await self._follow(payload, answer, start)
        except TimeoutError:
            error = f"not answered in {self.load.timeout:g} s"
        except (httpx2.HTTPError, httpx2.StreamError) as broken:
            error = f"no answer: {self.endpoint.address.told(broken)}"
        except UnicodeEncodeError:
            error = "the prompt holds half a surrogate pair, which no request can carry"
        except ValueError:
            error = "the stream holds what is no event of a completion"
        ended = time.perf_counter()
        return Exchange(
            *place,
            prompt=prompt,
            due=due,
            sent=sent - start,
            ended=ended - start,
            times=tuple(answer.times),
            text=answer.text,
            tokens=answer.tokens or len(answer.times),
            counted=answer.tokens is not None,
            prompt_tokens=answer.prompt_tokens,
            error=error,
        )

    async def _follow(self, payload: dict[str, Any], answer: StreamedAnswer, start: float) -> str | None:
        told = self.endpoint.address.told
        async with self.client.stream("POST", _PATHS[self.load.prompt], json=payload) as response:
            if response.status_code != httpx2.codes.OK:
                await response.aread()
                return f"HTTP {response.status_code}: {told(server_message(response))}"
            if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                return "the server does not stream: it answers in one piece"
            async for block in response.aiter_bytes():
                # The clock is read before the block is: what reading it takes is the client's own.
                answer.take(block, time.perf_counter() - start)
        if answer.error is not None:
            return f"the server gave up: {told(answer.error)}"
        if not answer.complete:
            return "the stream broke off"
        return None if answer.times else "the answer holds no text"
