from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from llmaudit.audit import Name, Spec
from llmaudit.suite.problems import refusal
from llmaudit.suite.strict_yaml import read
from llmaudit.suite.validation import problems_of


class Circle(Spec):
    shape: Literal["circle"]
    radius: float


class Square(Spec):
    shape: Literal["square"]
    side: float


class Range(Spec):
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def wrap(value: object) -> object:
    return {"all": value} if isinstance(value, list) else value


class Model(Spec):
    texts: list[str] | dict[Name, list[str]] = Field(default=[])
    wrapped: Annotated[dict[str, list[str]], BeforeValidator(wrap)] = Field(default={})
    which: Literal["all"] | list[int] = "all"
    span: Range | float | None = None
    shape: Annotated[Circle | Square, Field(discriminator="shape")] | None = None
    shapes: list[Circle | Square] = Field(default=[])
    range: Range | None = None
    names: dict[Name, int] = Field(default={})


def problems(text: str, *base: str) -> list[str]:
    document = read(text, "f")
    node = document.entry(base).node
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(node.data)
    return [problem[2:] for problem in refusal("f", problems_of(caught.value, document, base, Model)).problems]


def test_a_value_inside_a_branch_of_a_union() -> None:
    assert problems("texts: [a, 1]") == ["1:12: texts[1]: expected a string, got 1; put it in quotes"]
    assert problems("texts: {a: [b], c: d}") == ["1:20: texts.c: expected a list, got 'd'"]
    assert problems("span: {low: 1}") == ["1:7: span: missing key 'high'"]


def test_a_value_that_fits_no_branch() -> None:
    assert problems("texts: a") == ["1:8: texts: expected a list or a mapping, got 'a'"]
    assert problems("which: al") == ["1:8: which: expected one of 'all' or a list, got 'al'"]
    assert problems("span: wide") == ["1:7: span: expected a mapping or a number, got 'wide'"]


def test_a_step_that_a_validator_made_up() -> None:
    assert problems("wrapped: [a, 1]") == ["1:14: wrapped[1]: expected a string, got 1; put it in quotes"]


def test_tagged_branches() -> None:
    assert problems("shape: {shape: circle, radius: big}") == ["1:32: shape.radius: expected a number, got 'big'"]
    assert problems("shape: {shape: circel}") == [
        "1:8: shape: unknown shape 'circel'; did you mean 'circle'? (known: circle, square)"
    ]


def test_of_two_mappings_the_nearer_one_is_meant() -> None:
    assert problems("shapes:\n- shape: square\n  side: 1\n- shape: square\n  side: x") == [
        "5:9: shapes[1].side: expected a number, got 'x'"
    ]


def test_unknown_keys_are_placed_at_the_key_and_missing_ones_at_the_mapping() -> None:
    assert problems("range:\n  low: 1\n  wide: 2") == [
        "2:3: range: missing key 'high'",
        "3:3: range: unknown key 'wide' (known: low, high)",
    ]


def test_a_misspelt_key_is_one_mistake() -> None:
    assert problems("range: {low: 1, hihg: 2}") == [
        "1:17: range: unknown key 'hihg'; did you mean 'high'? (known: low, high)"
    ]


def test_a_bad_name_is_placed_at_the_key() -> None:
    assert problems("names:\n  a b: 1") == [
        "2:3: names.'a b': bad name 'a b'; a name is made of letters, digits, '_', '.' and '-'"
    ]


def test_what_the_parser_told_is_not_told_again() -> None:
    assert problems("range: {<<: {low: 1}, extra: 2}\ntexts: !!set {a: 1}\nwhich: &w [*w]\nnames: 1") == [
        "1:23: range: unknown key 'extra' (known: low, high)",
        "4:8: names: expected a mapping, got 1",
    ]


def test_a_model_below_the_root() -> None:
    assert problems("a:\n  b:\n    range: {low: 2, high: 1}\n    nams: {}", "a", "b") == [
        "3:12: a.b.range: low is above high",
        "4:5: a.b: unknown key 'nams'; did you mean 'names'? "
        "(known: texts, wrapped, which, span, shape, shapes, range, names)",
    ]


def test_a_root_that_is_no_mapping() -> None:
    assert problems("[a]") == ["1:1: expected a mapping, got a list"]
