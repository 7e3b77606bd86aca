"""Responses on disk: what a model answered once is not asked again, and a run that was killed goes on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
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
#: What names a model, and what the hashes of its weights and files imply.
_NAMES = {"name", "resolved", "revision", "parameters", "tokenizer", "weight_bytes"}
#: What computes the responses: another version of any of them may round, cut or draw otherwise.
_PACKAGES = ("llmaudit", "torch", "transformers", "tokenizers", "accelerate", "bitsandbytes")
#: Keys asked for in one query; SQLite allows 32,766 at most.
_CHUNK = 500
#: Seconds to wait for another process that uses the file.
_PATIENCE = 60
#: The last one is what SQLite says of our own fixed SQL where the file holds other tables than ours.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
_UNUSABLE = "the store of responses cannot be used"
_WAY_OUT = "make room, set LLMAUDIT_CACHE to another folder, or go round it with --no-cache"

Rows = list[tuple[Any, ...]]


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
    model = {field.name: getattr(info, field.name) for field in fields(info) if field.name not in _NAMES}
    model["facts"] = sorted(info.facts.items())
    return json.dumps([_VERSION, model, [_installed(package) for package in _PACKAGES], seed], default=str)


class ResponseStore:
    """A SQLite file of responses. Every response is durable when `put` returns, whatever kills the process next.

    Several processes may share a file. A damaged file is set aside for a new one, and `remark` says so. Every method
    raises StoreError where the file cannot be used at all, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.remark: str | None = None
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._database = self._open()
            except sqlite3.DatabaseError as error:
                self._begin_anew(error)

    def get(self, model: str, requests: Sequence[Request]) -> dict[int, Response]:
        """Return (index into `requests`) -> response for what is known; `model` is a fingerprint."""
        places: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            places.setdefault(_key(model, request), []).append(index)
        keys = list(places)
        found: dict[int, Response] = {}
        file = self._inode
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key, kind, body FROM responses WHERE key IN ({marks})"  # noqa: S608 - question marks only
            for key, kind, body in self._execute(query, chunk):
                if (response := _unpack(kind, body)) is None:
                    with self._explained():
                        self._begin_anew("a response in it has changed")
                    return self.get(model, requests)
                found |= dict.fromkeys(places[key], response)
        # What came from a file that was then set aside would be missing in the next run.
        return found if self._inode == file else self.get(model, requests)

    def count(self, model: str, requests: Sequence[Request]) -> int:
        """Return how many of the requests are answered; no answer is read. `model` is a fingerprint."""
        keys = [_key(model, request) for request in requests]
        distinct = list(dict.fromkeys(keys))
        known: set[str] = set()
        for start in range(0, len(distinct), _CHUNK):
            chunk = distinct[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key FROM responses WHERE key IN ({marks})"  # noqa: S608 - question marks only
            known |= {str(key) for (key,) in self._execute(query, chunk)}
        return sum(key in known for key in keys)

    def put(self, model: str, name: str, request: Request, response: Response) -> None:
        """Keep a response; `name` is for people.

        A failure is not kept, since another try may succeed; nor are attention and a whole distribution: as text they
        take a megabyte, and reading it back longer than asking for it again.
        """
        if isinstance(response, Failure | Attention) or (isinstance(response, NextTokens) and response.logprobs):
            return
        row = (_key(model, request), type(response).__name__, _pack(response), name, time.time())
        query = "INSERT OR IGNORE INTO responses VALUES (?, ?, ?, ?, ?)"
        self._execute(query, row, otherwise="a response could not be kept, those before it are safe")

    def sizes(self) -> list[StoreSize]:
        """What is held, by model, the newest first."""
        query = "SELECT model, COUNT(*), MAX(at) FROM responses GROUP BY model ORDER BY 3 DESC"
        return [StoreSize(str(model), count, newest) for model, count, newest in self._execute(query)]

    def prune(self, days: float) -> int:
        """Forget what is older than so many days; returns how many responses."""
        self._execute("DELETE FROM responses WHERE at < ?", (time.time() - days * 86400,))
        ((forgotten,),) = self._execute("SELECT changes()")
        with suppress(StoreError):  # it needs room of its own; without it, the next responses take the freed pages
            self._execute("VACUUM")
        return int(forgotten)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _execute(self, query: str, values: Sequence[Any] = (), *, otherwise: str = _UNUSABLE) -> Rows:
        """Ask SQLite; where the file turns out to be damaged, a new one."""
        with self._explained(otherwise):
            try:
                return self._database.execute(query, values).fetchall()
            except sqlite3.DatabaseError as error:
                self._begin_anew(error)
                return self._database.execute(query, values).fetchall()

    @contextmanager
    def _explained(self, what: str = _UNUSABLE) -> Iterator[None]:
        """Make one clear line of what SQLite or the disk refuses."""
        try:
            yield
        except (OSError, sqlite3.DatabaseError) as error:
            raise StoreError(f"{self.path}: {what} ({error}); {_WAY_OUT}") from None

    def _begin_anew(self, damage: sqlite3.DatabaseError | str) -> None:
        """Set a damaged file aside: losing what it saves is no reason to lose the run. Raises what is no damage."""
        if isinstance(damage, sqlite3.DatabaseError) and _code(damage) not in _DAMAGED:
            raise damage
        if hasattr(self, "_database"):
            self._database.close()
        self.remark = f"the store of responses was damaged ({damage}) and {self._set_aside()}; a new one was begun"
        self._database = self._open()

    def _set_aside(self) -> str:
        """Rename the file and what belongs to it; returns where it is now."""
        aside = f"{self.path.name}.damaged-{time.time_ns()}"
        with suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                for ending in ("", "-wal", "-shm"):  # left behind, SQLite would play them into the new file
                    with suppress(FileNotFoundError):
                        self.path.with_name(self.path.name + ending).rename(self.path.with_name(aside + ending))
                return f"is now {aside}"
        return "was set aside by another process"

    def _open(self) -> sqlite3.Connection:
        self.path.touch()  # so that it can be told from the one that another process may put in its place
        self._inode = self.path.stat().st_ino
        # No transaction spans two responses: each is committed on its own. In WAL mode that survives a killed process,
        # and readers do not wait for the writer.
        database = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
        # What is not UTF-8 is damage, and found by its digest.
        database.text_factory = lambda text: text.decode(errors="replace")
        try:
            _use_wal(database)
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS responses (key TEXT PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL,"
                " model TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database


def _use_wal(database: sqlite3.Connection) -> None:
    # Of two processes that begin a file at once SQLite refuses one, and does not let it wait.
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _code(error: sqlite3.DatabaseError) -> int:
    """The primary result code; the higher bits tell details."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _key(model: str, request: Request) -> str:
    asked: dict[str, Any] = {name: value for name, value in asdict(request).items() if name not in _LABELS}
    text = json.dumps([model, type(request).__name__, asked], sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _pack(response: Response) -> str:
    """Return the text of a response behind its digest: SQLite does not notice a changed byte inside a text."""
    body = json.dumps(asdict(response))
    return f"{_digest(type(response).__name__, body)} {body}"


def _unpack(kind: Any, packed: Any) -> Response | None:
    """Return the response, or None where it is not the one that was packed."""
    digest, _, body = str(packed).partition(" ")
    if digest != _digest(kind, body):
        return None
    return _TYPES[kind](**{name: _tuples(value) for name, value in json.loads(body).items()})


def _digest(kind: Any, body: str) -> str:
    return hashlib.blake2b(f"{kind} {body}".encode(), digest_size=8).hexdigest()


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
