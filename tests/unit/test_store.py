"""The store of responses: durable, shared, honest about damage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from llmaudit.errors import StoreError
from llmaudit.execution import Execution
from llmaudit.store import ResponseStore, fingerprint
from llmaudit.types import (
    Attend,
    Attention,
    Completion,
    Failure,
    Generate,
    Likelihood,
    ModelInfo,
    NextToken,
    NextTokens,
    Request,
    Response,
    Sampling,
    Score,
    Tokenize,
    Tokens,
)

INFO = ModelInfo("m", "m", "hf", sha256="0" * 64, dtype="float32", device="cpu")

PAIRS: list[tuple[Request, Response]] = [
    (Generate("Zoë says", "c", Sampling(stop=(".",))), Completion(" hi\n", 3, "stop", "Zoë says")),
    (Score("a", " b", "c"), Likelihood(-1.25, 1, greedy=True)),
    (NextToken("a", "c"), NextTokens(((" b", -0.5), (" c", -1.5)), 0.75)),
    (Tokenize("ab", "c"), Tokens((1, 2), ("a", "b"), (0, 1), 0, 0, "ab")),
]


def _model() -> str:
    found = fingerprint(INFO, seed=0)
    assert found is not None
    return found


def test_every_response_comes_back_equal(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "r.sqlite3")
    for request, response in PAIRS:
        store.put(_model(), "m", request, response)
    asked = [request for request, _ in PAIRS]
    assert store.get(_model(), asked) == {index: response for index, (_, response) in enumerate(PAIRS)}
    store.close()
    assert ResponseStore(tmp_path / "r.sqlite3").get(_model(), asked)[0] == PAIRS[0][1], "another process sees it too"


def test_labels_that_do_not_reach_the_model_change_nothing(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "r.sqlite3")
    store.put(_model(), "m", *PAIRS[0])
    relabelled = Generate("Zoë says", "other", Sampling(stop=(".",)), factors={"group": "g"})
    assert store.get(_model(), [relabelled, relabelled]) == {0: PAIRS[0][1], 1: PAIRS[0][1]}


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "r.sqlite3")
    store.put(_model(), "m", PAIRS[0][0], Failure("busy"))
    assert store.get(_model(), [PAIRS[0][0]]) == {}


def test_attention_is_not_kept(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "r.sqlite3")
    asked = Attend("a", "c", (0,))
    store.put(_model(), "m", asked, Attention(("a",), (0,), ((((1.0,),),),)))
    assert store.get(_model(), [asked]) == {}


def test_a_whole_distribution_is_not_kept(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "r.sqlite3")
    asked = NextToken("a", "c", full=True)
    store.put(_model(), "m", asked, NextTokens(((" b", -0.5),), 0.75, logprobs=(-0.5,) * 49152))
    assert store.get(_model(), [asked]) == {}


def test_a_damaged_file_is_set_aside_with_a_remark(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    path.write_bytes(b"this is no database, but long enough to look at" * 100)
    store = ResponseStore(path)
    assert store.remark is not None
    assert "damaged" in store.remark
    assert list(tmp_path.glob("r.sqlite3.damaged-*"))
    store.put(_model(), "m", *PAIRS[1])
    assert store.get(_model(), [PAIRS[1][0]])


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="--no-cache"):
        ResponseStore(tmp_path / "file" / "r.sqlite3")


def test_sizes_and_pruning(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "r.sqlite3")
    for request, response in PAIRS:
        store.put(_model(), "m", request, response)
    assert [(size.model, size.responses) for size in store.sizes()] == [("m", 4)]
    assert store.prune(days=1) == 0
    assert store.prune(days=-1) == 4
    assert store.sizes() == []


class CountingEngine:
    """Answers Generate, and counts how often it was asked."""

    capabilities: frozenset[type[Request]] = frozenset({Generate})
    info = INFO

    def __init__(self) -> None:
        self.asked = 0

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        for index, request in enumerate(requests):
            self.asked += 1
            assert isinstance(request, Generate)
            yield index, Completion(f" {request.prompt}", 1, "stop", request.prompt)

    def close(self) -> None:
        pass


def _execution(engine: CountingEngine, store: ResponseStore) -> Execution:
    return Execution(engine, lambda _: engine, lambda *_: None, store=store)


def test_a_second_run_asks_the_model_nothing(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "r.sqlite3")
    requests = [Generate(f"p{number}", "c") for number in range(20)]
    first, second = CountingEngine(), CountingEngine()
    samples = _execution(first, store).answer(requests[:12])
    again = _execution(second, store)
    assert again.answer(requests)[:12] == samples
    assert (first.asked, second.asked, again.kept) == (12, 8, 12)


_WRITER = """
import sys
from pathlib import Path
from llmaudit.store import ResponseStore
from llmaudit.types import Completion, Generate
store = ResponseStore(Path(sys.argv[1]))
number = 0
while True:
    store.put("model", "m", Generate(f"p{number}", "c"), Completion("x", 1, "stop", "p"))
    print(number, flush=True)
    number += 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_what_was_kept_survives_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite3"
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(200)]
        os.kill(writer.pid, signal.SIGKILL)
        said += writer.stdout.readlines()
    last = max(int(line) for line in said if line.endswith("\n"))
    time.sleep(0.05)
    requests = [Generate(f"p{number}", "c") for number in range(last + 1)]
    assert len(ResponseStore(path).get("model", requests)) == last + 1
