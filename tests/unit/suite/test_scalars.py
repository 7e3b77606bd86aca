from __future__ import annotations

import math

import pytest

from llmaudit.suite.scalars import resolve


@pytest.mark.parametrize("word", ["no", "on", "yes", "off", "y", "No", "1:30", "2026-01-31", "1_000", "0b11", "-0x1f"])
def test_what_yaml_1_1_would_twist_is_text(word: str) -> None:
    assert resolve(word) == word


@pytest.mark.parametrize(
    "word", ["tRUE", "nULL", "inf", "nan", ".", "e3", "1e", "--1", "0o8", "0xg", "١٢", "1.2.3", "+"]
)
def test_what_is_nearly_a_constant_or_a_number_is_text(word: str) -> None:
    assert resolve(word) == word


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("0", 0),
        ("012", 12),
        ("-7", -7),
        ("+7", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-2.5E+3", -2500.0),
        (".inf", math.inf),
        ("+.INF", math.inf),
        ("-.Inf", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_the_core_schema(word: str, value: object) -> None:
    found = resolve(word)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number() -> None:
    found = resolve(".nan")
    assert isinstance(found, float)
    assert math.isnan(found)


@pytest.mark.parametrize("word", ["1" * 5000, "0x" + "f" * 5000])
def test_a_number_that_python_could_not_print_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"a number of 500\d digits is too long"):
        resolve(word)
