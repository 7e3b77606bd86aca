from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import llmaudit.audits
from llmaudit.audit import Audit
from llmaudit.suite import json_schema, parse

Kinds = dict[str, type[Audit[Any]]]

SUITES = Path(__file__).parents[3] / "suites"


def validator(kinds: Kinds) -> Draft202012Validator:
    schema = json_schema(kinds)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def shipped_kinds() -> Kinds:
    """Every kind of this package, found by looking so that none is forgotten."""
    modules = [
        importlib.import_module(f"llmaudit.audits.{module.name}")
        for module in pkgutil.iter_modules(llmaudit.audits.__path__)
    ]
    classes = [value for module in modules for value in vars(module).values() if inspect.isclass(value)]
    return {cls.kind: cls for cls in classes if issubclass(cls, Audit) and not inspect.isabstract(cls)}


def test_a_good_suite(kinds: Kinds, good: str) -> None:
    assert validator(kinds).is_valid(parse(good, "f").data)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("suite: a good one", "suite: ''"),
        ("description:", "descripton:"),
        ("gender:", "gen der:"),
        ("kind: fake", "kind: fkae"),
        ("    kind: fake\n", ""),
        ("kind: other", "kind: fake"),
        ("templates:", "templats:"),
        ("samples: 4", "samples: 1"),
        ("women: {", "all women: {"),
        ("noun: men", "noun: 3"),
        ("length_gap:", "length gap:"),
        ("max: 3", "max: lots"),
        ("role: exploratory", "role: explore"),
        ("depth: 3", "depth: deep"),
    ],
)
def test_what_the_loader_refuses_the_schema_refuses(
    kinds: Kinds, good: str, refuse: Callable[[str], list[str]], right: str, wrong: str
) -> None:
    text = good.replace(right, wrong)
    assert text != good
    assert refuse(text)
    assert not validator(kinds).is_valid(parse(text, "f").data)


def test_the_kind_decides_which_keys_an_editor_offers(kinds: Kinds) -> None:
    schema = json_schema(kinds)
    audit = schema["properties"]["audits"]["additionalProperties"]
    assert audit["properties"]["kind"]["oneOf"] == [
        {"const": "fake", "description": "Does the fake differ between groups?"},
        {"const": "other", "description": "How deep is it?"},
    ]
    params = [schema["$defs"][branch["then"]["$ref"].rpartition("/")[2]] for branch in audit["allOf"]]
    assert [branch["if"]["properties"]["kind"]["const"] for branch in audit["allOf"]] == ["fake", "other"]
    assert "depth" in params[1]["properties"]
    assert params[0]["properties"]["templates"]["description"] == "Prompts with slots."
    assert schema["properties"]["audits"]["propertyNames"] == {"pattern": "^[A-Za-z0-9_.-]+$"}


def test_kinds_may_share_their_parameters(kinds: Kinds, good: str) -> None:
    assert validator({**kinds, "twin": kinds["fake"]}).is_valid(parse(good.replace("fake", "twin"), "f").data)


def test_the_order_of_the_kinds_does_not_matter(kinds: Kinds) -> None:
    assert json_schema(kinds) == json_schema(dict(reversed(kinds.items())))


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.audit.yaml")), ids=lambda path: path.name)
def test_the_shipped_suites(path: Path) -> None:
    content = parse(path.read_text(encoding="utf-8"), path.name).data
    errors = [f"{error.json_path}: {error.message}" for error in validator(shipped_kinds()).iter_errors(content)]
    assert errors == []
