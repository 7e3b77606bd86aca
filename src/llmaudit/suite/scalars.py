"""What an unquoted word means: the core schema of YAML 1.2."""

from __future__ import annotations

import re

__all__ = ["Scalar", "resolve"]

Scalar = None | bool | int | float | str

_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], float("nan")),
    **{sign + word: float("inf") for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], float("-inf")),
}

# ASCII digits only: \d would take the digits of other scripts for numbers.
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")

#: Far beyond any use, and short enough for Python to print again: it refuses numbers of 4300 digits.
_MOST_DIGITS = 1000


def resolve(word: str) -> Scalar:
    """Return the value of an unquoted word: `no` and `1:30` are text, `1e-3` is a number, `012` is twelve.

    Raises ValueError for a number that is too long to read.
    """
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if not (_INTEGER.fullmatch(word) or _OCTAL.fullmatch(word) or _HEXADECIMAL.fullmatch(word)):
        return float(word) if _FLOAT.fullmatch(word) else word
    if len(word) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(word)} digits is too long")
    # With base 0 Python reads the prefixes as YAML does, but refuses a leading zero.
    return int(word, 0 if word[1:2].isalpha() else 10)
