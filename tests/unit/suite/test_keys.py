from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from llmaudit.audit import Name, Spec
from llmaudit.suite.keys import known_keys


class Leaf(Spec):
    colour: str
    size: int = 0


class Twig(Spec):
    leaf: Leaf | None
    twigs: list[Twig]


class Tree(Spec):
    kind: Literal["tree"]
    named: dict[Name, Leaf]
    loose: dict[str, Leaf]
    either: list[Leaf] | dict[str, Twig]
    pair: tuple[Leaf, Twig]
    twig: Twig


def keys(*steps: str | int, model: type[BaseModel] = Tree) -> list[str]:
    return known_keys(model.model_json_schema(), steps)


def test_the_root() -> None:
    assert keys() == ["kind", "named", "loose", "either", "pair", "twig"]


def test_through_mappings_lists_and_unions() -> None:
    leaf, twig = ["colour", "size"], ["leaf", "twigs"]
    assert keys("named", "oak") == keys("loose", "oak") == keys("either", 3) == keys("pair", 0) == leaf
    assert keys("either", "oak") == keys("pair", 1) == twig
    assert keys("twig", "twigs", 0, "twigs", 1, "leaf") == leaf


def test_where_no_keys_are_known() -> None:
    assert keys("kind") == keys("nowhere", 3) == keys("loose") == []
