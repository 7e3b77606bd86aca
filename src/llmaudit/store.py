"""Responses on disk: what a model answered once is not asked again, and a run that was killed goes on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmaudit.errors import StoreError
from llmaudit.types import (
    Attention,
    Completion,
    Embedding,
    Failure,
    Likelihood,
    ModelInfo,
    NextTokens,
    Request,
    Response,
    Tokens,
)

__all__ = ["ResponseStore", "StoreSize", "fingerprint"]

#: Part of every key: raise it where the same request would now be answered otherwise.
_VERSION = 2
_TYPES: dict[str, type[Response]] = {
    kind.__name__: kind for kind in (Completion, Likelihood, NextTokens, Tokens, Embedding, Attention)
}
#: What names and groups a request but does not reach the model.
_LABELS = {"cluster", "factors"}
#: Keys asked for in one query; SQLite allows 32,766 at most.
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class StoreSize:
    """What a store holds for one model."""

    model: str
    responses: int
    newest: float
    """Seconds since 1970."""


def fingerprint(info: ModelInfo, seed: int) -> str | None:
    """Return what a response depends on besides its request, or None where it cannot be known.

    A model whose weights have no hash, such as one behind an endpoint, may change under its name.
    """
    if info.sha256 is None:
        return None
    parts = [_VERSION, info.engine, info.sha256, info.dtype, info.quantization, info.device, sorted(info.facts.items())]
    return json.dumps([*parts, seed], default=str)


class ResponseStore:
    """A SQLite file of responses. Every response is durable when `put` returns, whatever kills the process next.

    Several processes may share a file. A damaged file is set aside, and `remark` says so. Raises StoreError where the
    file cannot be used at all, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.remark: str | None = None
        self._broken = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = self._open()
        except (OSError, sqlite3.OperationalError) as error:
            raise StoreError(
                f"{path}: the store of responses cannot be used ({error}); go round it with --no-cache"
            ) from None
        except sqlite3.DatabaseError as error:
            aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
            path.rename(aside)
            for companion in ("-wal", "-shm"):  # of the damaged file: SQLite would play them into the new one
                path.with_name(path.name + companion).unlink(missing_ok=True)
            self.remark = f"the store of responses was damaged ({error}) and is now {aside.name}; a new one was begun"
            self._database = self._open()

    def get(self, model: str, requests: Sequence[Request]) -> dict[int, Response]:
        """Return (index into `requests`) -> response for what is known; `model` is a fingerprint."""
        places: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            places.setdefault(_key(model, request), []).append(index)
        keys = list(places)
        found: dict[int, Response] = {}
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key, kind, body FROM responses WHERE key IN ({marks})"  # noqa: S608 - question marks only
            try:
                rows = self._database.execute(query, chunk).fetchall()
            except sqlite3.DatabaseError as error:
                self._damaged(error)
                return {}
            for key, kind, body in rows:
                found |= dict.fromkeys(places[key], _response(kind, json.loads(body)))
        return found

    def put(self, model: str, name: str, request: Request, response: Response) -> None:
        """Keep a response; a failure is not kept, since another try may succeed. `name` is for people."""
        if isinstance(response, Failure) or self._broken:
            return
        body = json.dumps(asdict(response), ensure_ascii=False)
        row = (_key(model, request), type(response).__name__, body, name, time.time())
        try:
            self._database.execute("INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?)", row)
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path}: a response could not be kept ({error}); those before it are safe") from None
        except sqlite3.DatabaseError as error:
            self._damaged(error)

    def sizes(self) -> list[StoreSize]:
        """What is held, by model, the newest first."""
        query = "SELECT model, COUNT(*), MAX(at) FROM responses GROUP BY model ORDER BY 3 DESC"
        return [StoreSize(*row) for row in self._database.execute(query)]

    def prune(self, days: float) -> int:
        """Forget what is older than so many days; returns how many responses."""
        done = self._database.execute("DELETE FROM responses WHERE at < ?", (time.time() - days * 86400,))
        self._database.execute("VACUUM")
        return done.rowcount

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _damaged(self, error: sqlite3.DatabaseError) -> None:
        """Go on without the store: losing what it saves is no reason to lose the run."""
        self._broken = True
        self.remark = f"the store of responses {self.path} is damaged ({error}) and was not used; delete it"

    def _open(self) -> sqlite3.Connection:
        # No transaction spans two responses: each is committed on its own. In WAL mode that survives a killed process,
        # and readers do not wait for the writer.
        database = sqlite3.connect(self.path, timeout=60, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS responses (key TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL,"
                " model TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database


def _key(model: str, request: Request) -> str:
    fields: dict[str, Any] = {name: value for name, value in asdict(request).items() if name not in _LABELS}
    text = json.dumps([model, type(request).__name__, fields], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _response(kind: str, body: dict[str, Any]) -> Response:
    return _TYPES[kind](**{name: _tuples(value) for name, value in body.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
