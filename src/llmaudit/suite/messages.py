"""What pydantic says of one wrong value, in the words of a suite's author."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from llmaudit.audit import Name
from llmaudit.suite.hints import did_you_mean, unknown
from llmaudit.suite.problems import shown
from llmaudit.suite.scalars import resolve

__all__ = ["Details", "absence", "either", "expectation", "message"]

#: One entry of ValidationError.errors().
Details = Mapping[str, Any]

#: What the items of a mapping are called when there are too few of them.
_ITEMS = {"audits": "audit", "checks": "check"}

_NAME = get_args(Name)[1].pattern
_DATE = "a date such as 2027-01-31"

_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "none_required": "nothing",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
}

_LIMITED: Mapping[str, Callable[[Details], str]] = {
    "greater_than": lambda limit: f"a number greater than {_number(limit['gt'])}",
    "greater_than_equal": lambda limit: f"a number of at least {_number(limit['ge'])}",
    "less_than": lambda limit: f"a number less than {_number(limit['lt'])}",
    "less_than_equal": lambda limit: f"a number of at most {_number(limit['le'])}",
    "multiple_of": lambda limit: f"a multiple of {_number(limit['multiple_of'])}",
    "literal_error": lambda limit: f"one of {_choices(limit)}",
    "enum": lambda limit: f"one of {_choices(limit)}",
    "string_pattern_mismatch": lambda limit: f"text that matches {limit['pattern']}",
    "string_too_short": lambda limit: _at_least(limit["min_length"], "character"),
    "string_too_long": lambda limit: f"at most {limit['max_length']} characters",
    "either": lambda limit: " or ".join(limit["expectations"]),
}


def message(error: Details) -> str:
    """Say what is wrong with a value."""
    limit, got = error.get("ctx", {}), shown(error["input"])
    expected = expectation(error)
    if isinstance(limit.get("error"), Exception):
        return str(limit["error"])
    if error["type"] in {"too_short", "too_long"}:
        return _length(error["loc"], limit)
    if error["type"] == "union_tag_invalid":
        return unknown(limit["discriminator"].strip("'"), str(limit["tag"]), _quoted(limit["expected_tags"]))
    if limit.get("pattern") == _NAME:
        return f"bad name {got}; a name is made of letters, digits, '_', '.' and '-'"
    if expected is not None:
        return f"expected {expected}, got {got}{_advice(error)}"
    return f"{error['msg']}, got {got}".replace("Input should be", "expected", 1)


def absence(key: str) -> str:
    """Say that a key is missing."""
    return f"missing key '{key}'" + (f": needs at least one {_ITEMS[key]}" if key in _ITEMS else "")


def expectation(error: Details) -> str | None:
    """Return what should have stood there, as a noun; None for an error of another sort."""
    kind = error["type"]
    return _LIMITED[kind](error["ctx"]) if kind in _LIMITED else _EXPECTED.get(kind)


def either(errors: Sequence[Details]) -> Details:
    """Make one error of several on the same value, any of whose expectations would do."""
    expectations = dict.fromkeys(words for error in errors if (words := expectation(error)))
    return {**errors[0], "type": "either", "ctx": {"expectations": list(expectations)}}


def _length(loc: Sequence[str | int], limit: Details) -> str:
    actual = limit["actual_length"]
    if "max_length" in limit:
        return f"may have at most {limit['max_length']} entries, got {actual}"
    noun = _ITEMS.get(str(loc[-1]) if loc else "", "entry")
    return f"needs {_at_least(limit['min_length'], noun)}" + (f", got {actual}" if actual else "")


def _advice(error: Details) -> str:
    value = error["input"]
    if error["type"] == "string_type" and isinstance(value, bool | int | float):
        return "; put it in quotes"
    if error["type"] in {"literal_error", "enum"} and isinstance(value, str):
        return did_you_mean(value, _quoted(error["ctx"]["expected"]))
    if error["type"] in {"int_type", "float_type"} and isinstance(value, str) and not isinstance(resolve(value), str):
        return "; remove the quotes"
    return ""


def _quoted(sentence: str) -> list[str]:
    """Return the words that stand in quotes in one of pydantic's sentences."""
    return re.findall(r"'([^']*)'", sentence)


def _choices(limit: Details) -> str:
    return ", ".join(f"'{choice}'" for choice in _quoted(limit["expected"])) or limit["expected"]


def _at_least(count: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"at least one {noun}" if count == 1 else f"at least {count} {plural}"


def _number(limit: Any) -> str:
    return str(int(limit)) if isinstance(limit, float) and limit.is_integer() else str(limit)
