"""A server that streams completions with known delays, on a port of this machine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from llmaudit.engines.address import Address, Endpoint

#: Path and body of a request -> how to answer it instead, as (status, content type, body); None to answer as usual.
Override = Callable[[str, dict[str, Any]], tuple[int, str, bytes] | None]


@dataclass
class StreamingServer:
    """Writes `pieces` after the delays that are set; serves one request at a time where it has `places` for one."""

    first: float = 0.02
    """Seconds before the first piece."""
    gap: float = 0.01
    """Seconds between one piece and the next."""
    pieces: tuple[str, ...] = (" one", " two", " drei", " für", " 五")
    usage: int | None = 5
    places: int | None = None
    """How many requests are answered at a time; None for all."""
    override: Override = lambda path, payload: None
    done: bool = True
    """Whether the stream ends as it should."""
    asked: list[tuple[str, dict[str, Any], Mapping[str, str]]] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[Endpoint]:
        """Listen inside the block."""
        server = self
        places = threading.Semaphore(self.places) if self.places else nullcontext()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else the system keeps small pieces back until the client has confirmed those before: 40 ms each.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append((self.path, payload, dict(self.headers)))
                with places:
                    server.answer(self, payload)

            def log_message(self, *arguments: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            # More may come at once than the five of the standard library.
            request_queue_size = 128

            def handle_error(self, *arguments: Any) -> None:
                pass  # the client went away, as it was meant to

        with Quiet(("127.0.0.1", 0), Handler) as http:
            thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            try:
                yield Endpoint(Address(f"http://127.0.0.1:{http.server_port}/v1"), "tiny")
            finally:
                http.shutdown()
                thread.join()

    def answer(self, handler: BaseHTTPRequestHandler, payload: dict[str, Any]) -> None:
        """Answer one request."""
        if (other := self.override(handler.path, payload)) is not None:
            status, kind, body = other
            handler.send_response(status)
            handler.send_header("Content-Type", kind)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        self._send(handler, {"choices": [{"delta": {"role": "assistant", "content": ""}}]})
        time.sleep(self.first)
        for number, piece in enumerate(self.pieces):
            if number:
                time.sleep(self.gap)
            choice = {"delta": {"content": piece}} if "messages" in payload else {"text": piece}
            self._send(handler, {"choices": [choice]})
        if self.done:
            self._send(handler, {"choices": [{"delta": {}, "finish_reason": "length"}]})
            if self.usage and "stream_options" in payload:
                self._send(handler, {"choices": [], "usage": {"completion_tokens": self.usage, "prompt_tokens": 7}})
            self._chunk(handler, b"data: [DONE]\n\n")
        self._chunk(handler, b"")

    def _send(self, handler: BaseHTTPRequestHandler, event: dict[str, Any]) -> None:
        self._chunk(handler, b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n")

    def _chunk(self, handler: BaseHTTPRequestHandler, data: bytes) -> None:
        handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        handler.wfile.flush()
