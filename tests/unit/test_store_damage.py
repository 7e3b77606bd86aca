"""A store whose file is damaged, or whose disk is full."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmaudit.errors import StoreError
from llmaudit.store import ResponseStore
from llmaudit.types import Completion, Generate, Request, Response, Tokenize, Tokens

ASKED: list[Request] = [Generate(f"prompt {number}", "c") for number in range(300)]
ANSWERS: list[Response] = [Completion(f" answer {n}" * 9, n, "stop", f"prompt {n}") for n in range(len(ASKED))]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store that was closed."""
    folder = tmp_path_factory.mktemp("closed")
    _fill(ResponseStore(folder / "r.sqlite3")).close()
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store whose process was killed: half of it is in the file, all of it in the log."""
    folder, copy = tmp_path_factory.mktemp("open"), tmp_path_factory.mktemp("killed")
    _fill(ResponseStore(folder / "r.sqlite3"), 150).close()
    store = _fill(ResponseStore(folder / "r.sqlite3"))
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    store.close()
    assert (copy / "r.sqlite3-wal").stat().st_size > 0
    return copy


def _fill(store: ResponseStore, many: int = len(ASKED)) -> ResponseStore:
    for request, response in list(zip(ASKED, ANSWERS, strict=True))[:many]:
        store.put("model", "m", request, response)
    return store


def _truncated(data: bytearray) -> bytearray:
    return data[: len(data) // 2 + 100]


def _stump(data: bytearray) -> bytearray:
    return data[:50]


def _other_header(data: bytearray) -> bytearray:
    data[:16] = b"no database here"
    return data


def _other_page(data: bytearray) -> bytearray:
    data[4096 * 2 : 4096 * 3] = random.Random(0).randbytes(4096)  # noqa: S311 - not for secrets
    return data


def _all_inner_pages(data: bytearray) -> bytearray:
    data[4096:] = bytes(len(data) - 4096)
    return data


def _one_letter(data: bytearray) -> bytearray:
    place = data.rindex(b"answer 7")
    data[place : place + 1] = b"A"
    return data


def _no_utf8(data: bytearray) -> bytearray:
    place = data.rindex(b"answer 7")
    data[place : place + 1] = b"\xff"
    return data


def _other_tables(data: bytearray) -> bytearray:
    place = data.index(b"body TEXT")
    data[place : place + 4] = b"tail"
    return data


DAMAGE = [_truncated, _stump, _other_header, _other_page, _all_inner_pages, _one_letter, _no_utf8, _other_tables]


def _use(path: Path) -> str | None:
    """What a run does with a store; returns the remark."""
    store = ResponseStore(path)
    found = store.get("model", ASKED)
    assert all(response == ANSWERS[number] for number, response in found.items()), "nothing wrong is ever returned"
    for number in set(range(len(ASKED))) - set(found):
        store.put("model", "m", ASKED[number], ANSWERS[number])
    assert len(store.get("model", ASKED)) == len(ASKED), "the next run finds everything"
    store.close()
    return store.remark


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_set_aside(tmp_path: Path, closed: Path, damage: Callable[[bytearray], bytearray]) -> None:
    path = Path(shutil.copy(closed / "r.sqlite3", tmp_path))
    harmed = damage(bytearray(path.read_bytes()))
    path.write_bytes(harmed)
    remark = _use(path)
    assert remark is not None
    assert "damaged" in remark
    (aside,) = tmp_path.glob("r.sqlite3.damaged-*")
    assert aside.name in remark
    assert aside.read_bytes()[-1000:] == harmed[-1000:], "what can be saved is left to be saved"
    assert _use(path) is None


@pytest.mark.parametrize("damage", DAMAGE[:5])
@pytest.mark.parametrize("file", ["r.sqlite3", "r.sqlite3-wal", "r.sqlite3-shm"])
def test_damage_to_what_a_killed_process_left(
    tmp_path: Path, killed: Path, file: str, damage: Callable[[bytearray], bytearray]
) -> None:
    folder = shutil.copytree(killed, tmp_path / "store")
    (folder / file).write_bytes(damage(bytearray((folder / file).read_bytes())))
    _use(folder / "r.sqlite3")
    assert _use(folder / "r.sqlite3") is None


def test_damage_under_a_store_in_use(tmp_path: Path, closed: Path) -> None:
    path = Path(shutil.copy(closed / "r.sqlite3", tmp_path))
    store, other = ResponseStore(path), ResponseStore(path)
    path.write_bytes(_all_inner_pages(bytearray(path.read_bytes())))
    assert store.get("model", ASKED) == {}
    store.put("model", "m", ASKED[0], ANSWERS[0])
    assert store.remark is not None
    assert other.get("model", ASKED[:1]) == {0: ANSWERS[0]}, "the other process goes over to the new file"
    assert other.remark is not None
    assert "by another process" in other.remark
    assert len(list(tmp_path.glob("r.sqlite3.damaged-*[0-9]"))) == 1


def test_an_empty_file_is_an_empty_store(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    path.touch()
    assert _use(path) is None


def test_half_a_surrogate_pair_is_kept(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "r.sqlite3")
    asked, answer = Tokenize("\ud83d", "c"), Tokens((1,), ("\ud83d",), (0,), 0, 0, "\ud83d")
    store.put("model", "m", asked, answer)
    assert store.get("model", [asked]) == {0: answer}


def test_a_full_disk_is_a_clear_error_that_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    store = ResponseStore(path)
    store._database.execute("PRAGMA max_page_count = 20")
    with pytest.raises(StoreError, match=r"r\.sqlite3: a response could not be kept.*full.*LLMAUDIT_CACHE.*--no-cache"):
        _fill(store)
    kept = store.get("model", ASKED)
    assert 20 < len(kept) < len(ASKED)
    assert kept == dict(enumerate(ANSWERS[: len(kept)]))
    assert ResponseStore(path).get("model", ASKED) == kept
    store._database.execute("PRAGMA max_page_count = 1000")
    assert len(_fill(store).get("model", ASKED)) == len(ASKED), "and goes on where there is room again"
    assert store.remark is None


def test_pruning_works_where_there_is_no_room_to_shrink_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _fill(ResponseStore(tmp_path / "r.sqlite3"))
    execute = store._execute

    def full(query: str, *values: object) -> list[tuple[object, ...]]:
        if query == "VACUUM":
            raise StoreError("database or disk is full")
        return execute(query, *values)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "_execute", full)
    assert store.prune(days=-1) == len(ASKED)
    assert store.sizes() == []


def test_a_database_locked_for_long_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmaudit.store._PATIENCE", 0.1)
    path = tmp_path / "r.sqlite3"
    store = ResponseStore(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        store.put("model", "m", ASKED[0], ANSWERS[0])
    other.execute("ROLLBACK")
    other.close()
    store.put("model", "m", ASKED[0], ANSWERS[0])
    assert store.remark is None, "a lock is no damage"
    store.close()


_OPENER = """
import sys
import time
from pathlib import Path
from llmaudit.store import ResponseStore
from llmaudit.types import Completion, Generate
number = int(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    store = ResponseStore(Path(line.strip()))
    store.put("model", "m", Generate(f"prompt {number}", "c"), Completion("x", 1, "stop", "p"))
    store.close()
    print(store.remark, flush=True)
"""


def test_processes_that_begin_a_store_at_once_all_use_it(tmp_path: Path) -> None:
    many = 3
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", _OPENER, str(number)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for number in range(many)
    ]
    try:
        assert [_say(opener) for opener in openers] == ["ready\n"] * many
        for attempt in range(40):
            path = tmp_path / str(attempt) / "r.sqlite3"
            for opener in openers:
                assert opener.stdin is not None
                opener.stdin.write(f"{path}\n")
            assert [_say(opener) for opener in openers] == ["None\n"] * many
            assert len(ResponseStore(path).get("model", ASKED)) == many
    finally:
        for opener in openers:
            opener.communicate(timeout=20)


def _say(opener: subprocess.Popen[str]) -> str:
    assert opener.stdout is not None
    return opener.stdout.readline()
