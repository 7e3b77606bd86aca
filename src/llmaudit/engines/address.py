"""Where a server is, and the key that goes with every request to it and that nothing shows."""

from __future__ import annotations

import os
from dataclasses import dataclass

import httpx2

from llmaudit.errors import ModelError

__all__ = ["Address", "Endpoint"]

#: Characters of a server's message that are passed on.
_MESSAGE = 300


class Address:
    """The base URL of a server and the key from the environment; no message of its own shows the key."""

    def __init__(self, base_url: str) -> None:
        self._key = _Key()
        try:
            url = httpx2.URL(base_url)
        except httpx2.InvalidURL as error:
            raise ModelError(f"the base URL is not an address: {self.told(error)}; give http://HOST:PORT/v1") from None
        self._url = url
        if url.scheme not in {"http", "https"} or not url.host:
            raise ModelError(f"the base URL {str(self)!r} is not an address: give http://HOST:PORT/v1")

    def __str__(self) -> str:
        """The address without user, password and query."""
        return str(self._url.copy_with(userinfo=b"", query=None, fragment=None))

    @property
    def has_key(self) -> bool:
        """Whether OPENAI_API_KEY is set."""
        return bool(self._key.headers)

    def client(self, transport: httpx2.BaseTransport | None, connections: int) -> httpx2.Client:
        """Open a client that sends at most so many requests at a time."""
        return httpx2.Client(
            base_url=self._url.copy_with(query=None, fragment=None),
            params=self._url.params,
            headers=self._key.headers,
            transport=transport,
            limits=httpx2.Limits(max_connections=connections),
        )

    def measuring_client(self) -> httpx2.AsyncClient:
        """Open a client that never makes a request wait: neither for a connection nor for a compressed block."""
        return httpx2.AsyncClient(
            base_url=self._url.copy_with(query=None, fragment=None),
            params=self._url.params,
            headers={**self._key.headers, "Accept": "text/event-stream", "Accept-Encoding": "identity"},
            timeout=None,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None),
        )

    def told(self, message: object) -> str:
        """Return the first line of what a server or a library said; masked first, so that no part of a key is left."""
        lines = self._key.mask(str(message)).strip().splitlines()
        return lines[0][:_MESSAGE] if lines else type(message).__name__


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A served model: what it takes to send it requests of one's own."""

    address: Address
    model: str
    """The name that the server knows it by."""


class _Key:
    """The key from the environment, which nothing shows."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value = os.environ.get("OPENAI_API_KEY", "").strip()
        if not (self._value.isascii() and self._value.isprintable()):
            raise ModelError("OPENAI_API_KEY holds characters that no HTTP header can carry; copy the key again")

    def __repr__(self) -> str:
        return "_Key(***)"

    @property
    def headers(self) -> dict[str, str]:
        """The header that carries it; none without a key."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def mask(self, text: str) -> str:
        """Return a text that a server or a library wrote, with the key struck out."""
        return text.replace(self._value, "***") if self._value else text
