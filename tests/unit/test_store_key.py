"""What a stored response is found by: everything that it depends on, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from llmaudit.store import ResponseStore, fingerprint
from llmaudit.types import Likelihood, ModelInfo, Request

LABELS = {"cluster", "factors"}
#: What names a model, and what follows from the hashes of its files.
NAMES = {"name", "resolved", "revision", "parameters", "tokenizer", "weight_bytes"}

MODEL = ModelInfo(
    "name",
    "resolved",
    "engine",
    revision="revision",
    sha256="0" * 64,
    parameters=1,
    dtype="float32",
    quantization=None,
    device="cpu",
    facts={"files_sha256": "1" * 64, "vocabulary_size": 10},
)


def _others(value: Any) -> Iterator[tuple[str, Any]]:
    """What else a field could hold, by the name of what changed; of a dataclass one for every field."""
    match value:
        case None:
            yield "", "x"
        case bool():
            yield "", not value
        case int() | float():
            yield "", value + 1
        case str():
            yield "", f"{value}x"
        case tuple():
            yield "", (*value, "x")
        case Mapping():
            yield "", {**value, "x": 1}
        case _ if is_dataclass(value) and not isinstance(value, type):
            for field in fields(value):
                for name, other in _others(getattr(value, field.name)):
                    yield f".{field.name}{name}", replace(value, **{field.name: other})
        case _:
            raise AssertionError(f"say here how else {value!r} could be")


def _plain(kind: type[Request]) -> Request:
    required = [field.name for field in fields(kind) if field.default is field.default_factory is MISSING]
    values: dict[str, Any] = dict.fromkeys(required, "text")
    return kind(**values)


#: Of every kind of request: what changes, a request, and the same with that change.
CHANGES: list[tuple[str, Request, Request]] = [
    (f"{kind.__name__}{name}", _plain(kind), other)
    for kind in get_args(Request)
    for name, other in _others(_plain(kind))
]


@pytest.mark.parametrize(("what", "asked", "other"), CHANGES, ids=[what for what, *_ in CHANGES])
def test_a_request_is_another_where_anything_but_a_label_differs(
    tmp_path: Path, what: str, asked: Request, other: Request
) -> None:
    store = ResponseStore(tmp_path / "r.sqlite3")
    store.put("model", "m", asked, Likelihood(-1.0, 1, greedy=True))
    assert store.get("model", [asked])
    assert bool(store.get("model", [other])) == (what.split(".")[1] in LABELS)


def test_no_two_requests_share_a_response(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "r.sqlite3")
    asked: list[Request] = [_plain(kind) for kind in get_args(Request)]
    asked += [other for what, _, other in CHANGES if what.split(".")[1] not in LABELS]
    answers = {number: Likelihood(-1.0, number, greedy=True) for number in range(len(asked))}
    for number, answer in answers.items():
        store.put("model", "m", asked[number], answer)
    assert store.get("model", asked) == answers


def test_another_model_shares_nothing(tmp_path: Path) -> None:
    store = ResponseStore(tmp_path / "r.sqlite3")
    request = _plain(get_args(Request)[0])
    store.put("model", "m", request, Likelihood(-1.0, 1, greedy=True))
    assert store.get("model2", [request]) == {}


@pytest.mark.parametrize(("name", "other"), [pytest.param(name, other, id=name[1:]) for name, other in _others(MODEL)])
def test_a_model_is_another_where_anything_but_its_name_differs(name: str, other: ModelInfo) -> None:
    same = name.removeprefix(".") in NAMES
    assert (fingerprint(other, 0) == fingerprint(MODEL, 0)) == same


def test_a_changed_fact_is_another_model() -> None:
    other = replace(MODEL, facts={**MODEL.facts, "files_sha256": "2" * 64})
    assert fingerprint(other, 0) != fingerprint(MODEL, 0)


def test_the_order_of_facts_says_nothing() -> None:
    other = replace(MODEL, facts=dict(reversed(list(MODEL.facts.items()))))
    assert fingerprint(other, 0) == fingerprint(MODEL, 0)


def test_another_seed_shares_nothing() -> None:
    assert fingerprint(MODEL, 1) != fingerprint(MODEL, 0)


@pytest.mark.parametrize("package", ["llmaudit", "torch", "transformers", "tokenizers", "accelerate", "bitsandbytes"])
def test_another_version_of_what_computes_shares_nothing(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmaudit.store.version", lambda _: "1.0")
    before = fingerprint(MODEL, 0)
    monkeypatch.setattr("llmaudit.store.version", lambda name: "1.0.1" if name == package else "1.0")
    assert fingerprint(MODEL, 0) != before


def test_a_model_whose_weights_are_unknown_is_not_kept() -> None:
    assert fingerprint(replace(MODEL, sha256=None), 0) is None
