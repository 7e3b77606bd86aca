from __future__ import annotations

import datetime
import enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from llmaudit.audit import Name, Spec
from llmaudit.suite.messages import absence, message


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Cat(Spec):
    species: Literal["cat"]


class Dog(Spec):
    species: Literal["dog"]


def even(value: int) -> int:
    if value % 2:
        raise ValueError("odd numbers are not even")
    return value


def words(annotation: Any, value: Any, *, strict: bool = True) -> str:
    adapter = TypeAdapter[Any](annotation, config=ConfigDict(strict=strict) if annotation not in (Cat, Dog) else None)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    (error,) = caught.value.errors()
    return message(error)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (float, "lots", "expected a number, got 'lots'"),
        (float, "1e-3", "expected a number, got '1e-3'; remove the quotes"),
        (float, True, "expected a number, got true"),
        (int, 2.5, "expected an integer, got 2.5"),
        (int, "7", "expected an integer, got '7'; remove the quotes"),
        (str, 7, "expected a string, got 7; put it in quotes"),
        (str, None, "expected a string, got nothing"),
        (bool, "no", "expected true or false, got 'no'"),
        (list[str], {"a": 1}, "expected a list, got a mapping"),
        (dict[str, int], "x", "expected a mapping, got 'x'"),
        (Cat, [1], "expected a mapping, got a list"),
        (None, 1, "expected nothing, got 1"),
        (Annotated[float, Field(gt=0)], -1.5, "expected a number greater than 0, got -1.5"),
        (Annotated[float, Field(lt=0.5)], 1.0, "expected a number less than 0.5, got 1.0"),
        (Annotated[int, Field(ge=2)], 1, "expected a number of at least 2, got 1"),
        (Annotated[float, Field(le=1)], 2.0, "expected a number of at most 1, got 2.0"),
        (Annotated[int, Field(multiple_of=5)], 7, "expected a multiple of 5, got 7"),
        (Annotated[float, Field(allow_inf_nan=False)], float("inf"), "expected a finite number, got .inf"),
        (Annotated[str, Field(min_length=1)], "", "expected at least one character, got ''"),
        (Annotated[str, Field(max_length=1)], "ab", "expected at most 1 characters, got 'ab'"),
        (Annotated[str, Field(pattern="^a$")], "b", "expected text that matches ^a$, got 'b'"),
        (Annotated[list[str], Field(min_length=1)], [], "needs at least one entry"),
        (Annotated[list[str], Field(min_length=2)], ["a"], "needs at least 2 entries, got 1"),
        (Annotated[list[str], Field(max_length=1)], ["a", "b"], "may have at most 1 entries, got 2"),
        (Name, "a b", "bad name 'a b'; a name is made of letters, digits, '_', '.' and '-'"),
        (Literal["mean", "worst"], "wrost", "expected one of 'mean', 'worst', got 'wrost'; did you mean 'worst'?"),
        (Literal["mean", "worst"], 1, "expected one of 'mean', 'worst', got 1"),
        (
            Annotated[Cat | Dog, Field(discriminator="species")],
            {"species": "dgo"},
            "unknown species 'dgo'; did you mean 'dog'? (known: cat, dog)",
        ),
    ],
)
def test_plain_words(annotation: Any, value: Any, expected: str) -> None:
    assert words(annotation, value) == expected


def test_plain_words_of_lax_fields() -> None:
    assert words(datetime.date, "soon", strict=False) == "expected a date such as 2027-01-31, got 'soon'"
    assert words(datetime.date, [], strict=False) == "expected a date such as 2027-01-31, got a list"
    assert words(Size, "smal", strict=False) == "expected one of 'small', 'large', got 'smal'; did you mean 'small'?"


def test_a_validator_speaks_for_itself() -> None:
    from pydantic import AfterValidator

    assert words(Annotated[int, AfterValidator(even)], 3) == "odd numbers are not even"


def test_an_unforeseen_error_keeps_the_words_of_pydantic() -> None:
    assert words(bytes, 3) == "expected a valid bytes, got 3"


def test_missing_keys_say_what_they_are_for() -> None:
    assert absence("templates") == "missing key 'templates'"
    assert absence("checks") == "missing key 'checks': needs at least one check"
