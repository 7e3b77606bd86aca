"""The answer of an OpenAI-compatible server as it streams in: server-sent events, and what they say."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["EventStream", "StreamedAnswer"]

_LINE_END = re.compile(r"\r\n|\n|\r(?!\Z)")
_DONE = "[DONE]"
#: Where servers put what a model writes; reasoning is written by the model too, and waited for.
_TEXTS = ("content", "reasoning_content", "reasoning")


class EventStream:
    """Cuts bytes, however they arrive, into the data of server-sent events (HTML Standard, section 9.2.6)."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._data: list[str] = []

    def feed(self, block: bytes) -> Iterator[str]:
        """Yield the data of every event that the block completes."""
        # A carriage return at the end may be half of a line end: it waits for what follows.
        *lines, self._rest = _LINE_END.split(self._rest + self._decoder.decode(block))
        for line in lines:
            field, _, value = line.partition(":")
            if field == "data":
                self._data.append(value.removeprefix(" "))
            elif not line and self._data:
                yield "\n".join(self._data)
                self._data.clear()


class StreamedAnswer:
    """Puts an answer together from the blocks that arrive, and notes when each piece of text came."""

    def __init__(self) -> None:
        self._events = EventStream()
        self._texts: list[str] = []
        self._finished = False
        self._usage: Mapping[str, Any] = {}
        self.times: list[float] = []
        """When each piece of text came."""
        self.error: str | None = None
        """What the server said in the middle of its answer."""

    def take(self, block: bytes, now: float) -> None:
        """Read what arrived at a moment. Raises ValueError for what is no event of such a stream."""
        for data in self._events.feed(block):
            if data.strip() == _DONE:
                self._finished = True
                continue
            event = json.loads(data)
            if not isinstance(event, dict):
                raise ValueError("an event that is no object")
            self._read(event, now)

    def _read(self, event: Mapping[str, Any], now: float) -> None:
        if error := event.get("error"):
            self.error = str(error.get("message", error) if isinstance(error, dict) else error)
        if isinstance(usage := event.get("usage"), dict):
            self._usage = usage
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return
        self._finished = self._finished or choice.get("finish_reason") is not None
        if text := _text(choice):
            self._texts.append(text)
            self.times.append(now)

    @property
    def text(self) -> str:
        """The answer as far as it came."""
        return "".join(self._texts)

    @property
    def complete(self) -> bool:
        """Whether the server said that this was all."""
        return self._finished

    @property
    def tokens(self) -> int | None:
        """Number of tokens of the answer; None where the server does not tell."""
        return _count(self._usage.get("completion_tokens"))

    @property
    def prompt_tokens(self) -> int | None:
        """Number of tokens of the prompt; None where the server does not tell."""
        return _count(self._usage.get("prompt_tokens"))


def _text(choice: Mapping[str, Any]) -> str:
    delta = choice.get("delta")
    found = [delta.get(name) for name in _TEXTS] if isinstance(delta, dict) else [choice.get("text")]
    return next((text for text in found if isinstance(text, str) and text), "")


def _count(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None
