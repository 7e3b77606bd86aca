"""JSON over HTTP to one server: keys masked, tries repeated where that can help."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import tenacity

from llmaudit.engines.address import Address
from llmaudit.engines.openai_probe import RefusedError
from llmaudit.errors import ModelError

__all__ = ["WORKERS", "Client", "server_message"]

#: Requests under way at a time.
WORKERS = 16
_ATTEMPTS = 5
_BACKOFF = tenacity.wait_exponential_jitter(multiplier=0.5, max=20, jitter=0.5)


class Client:
    """Sends JSON to one server and tries again where that can help; no message of its own shows the key."""

    def __init__(self, address: Address, transport: httpx2.BaseTransport | None) -> None:
        self.address = address
        self._http = address.client(transport, WORKERS)

    def models(self) -> tuple[str, ...]:
        """Return the names on the list of the server, if it has one. Raises ModelError where nothing listens."""
        try:
            body = self._http.get("models", timeout=10).json()
            return tuple(str(entry["id"]) for entry in body["data"])
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            raise ModelError(
                f"{self.address} cannot be reached ({self.address.told(error)}): start the server, or correct"
                " --base-url or OPENAI_BASE_URL"
            ) from None
        except (httpx2.HTTPError, ValueError, LookupError, TypeError):
            # Some servers fail at this list alone (transformers serve offline): the routes are what counts.
            return ()

    def post(self, path: str, payload: Mapping[str, Any], patience: float) -> dict[str, Any]:
        """Return the answer's body. Raises RefusedError, after retries in `patience` seconds where they may help."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TransientError),
            wait=_wait,
            # The second looks at the coming wait: a server that wants an hour is not asked again too early.
            stop=tenacity.stop_after_attempt(_ATTEMPTS) | tenacity.stop_before_delay(patience),
            reraise=True,
        )
        return retrying(self._post_once, path, payload, patience)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post_once(self, path: str, payload: Mapping[str, Any], patience: float) -> dict[str, Any]:
        timeout = httpx2.Timeout(patience, connect=10)
        try:
            response = self._http.post(path, json=payload, timeout=timeout)
        except httpx2.HTTPError as error:
            raise _TransientError(f"no answer: {self.address.told(error)}") from None
        status = response.status_code
        if status == 200 and isinstance(body := _json(response), dict) and not body.get("error"):
            return body
        message = f"HTTP {status}: {self.address.told(server_message(response))}"
        if status in {408, 409, 429} or status >= 500:
            raise _TransientError(message, status, _retry_after(response))
        raise RefusedError(message, status)


class _TransientError(RefusedError):
    """A refusal that another try may not meet."""

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status)
        self.retry_after = retry_after


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, _TransientError) else None
    return _BACKOFF(state) if asked is None else asked


def _retry_after(response: httpx2.Response) -> float | None:
    """Return the seconds that the server asks to wait, given as such or as a date."""
    value = response.headers.get("Retry-After", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def server_message(response: httpx2.Response) -> str:
    """Return what the server says is wrong, wherever it puts it."""
    body = _json(response)
    if isinstance(body, dict):
        body = next((body[name] for name in ("error", "message", "detail") if body.get(name)), body)
    if isinstance(body, dict):
        body = body.get("message", body)
    if isinstance(body, str):
        return body
    return response.text or response.reason_phrase
