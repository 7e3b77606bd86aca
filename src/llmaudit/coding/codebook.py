"""The codebook: categories of content, each with a definition, rules, examples and patterns, as a researcher edits it.

No message quotes a text of a codebook: slurs may stand in patterns and examples, and belong in no terminal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from llmaudit.audit import Name, Spec
from llmaudit.datasets import placed, read_file
from llmaudit.errors import SuiteError
from llmaudit.suite.files import read_model
from llmaudit.suite.hints import unknown

__all__ = ["ANY", "Category", "Codebook", "CodebookFile", "Examples", "open_codebook", "whole_words"]

#: What the share of answers with any of the categories is called.
ANY = "any_category"

#: A repeated group that ends in a repeat, as in (a+)+, may take time exponential in the length of a text.
_RUNAWAY = re.compile(r"(?:[+*]|,\d*\})\)(?:[+*]|\{\d*,)")


_WORD_LIST = re.compile(r"\{([A-Za-z_]\w*)\}")


def whole_words(pattern: str, lists: Mapping[str, Sequence[str]]) -> re.Pattern[str]:
    """Compile a pattern such that it matches whole words only, in any case; `{name}` stands for any of a list of words.

    Raises KeyError for a list that there is not, and re.error for what is no regular expression.
    """
    filled = _WORD_LIST.sub(lambda found: f"(?:{'|'.join(map(re.escape, lists[found[1]]))})", pattern)
    re.compile(filled)  # alone first: a stray bracket could close the group that is put around it
    return re.compile(rf"(?<!\w)(?:{filled})(?!\w)", re.IGNORECASE)


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        raise ValueError("expected a text; one that holds ': ' needs quotes")
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected a text")
    return value


def _list(value: Any) -> Any:
    if not isinstance(value, list):
        raise ValueError("expected a list of texts")
    return value


def _pattern(value: str, info: ValidationInfo) -> str:
    lists: Mapping[str, Sequence[str]] = info.data.get("words", {})
    try:
        compiled = whole_words(value, lists)
    except KeyError as error:
        raise ValueError(unknown("list of words", str(error.args[0]), lists)) from None
    except (re.error, OverflowError, RecursionError):
        # What exactly is wrong is told by re with a piece of the pattern, or with a place after lists were filled in.
        raise ValueError("this is no regular expression") from None
    if compiled.search(""):
        raise ValueError("this pattern matches the empty text, hence every text")
    if _RUNAWAY.search(value):
        raise ValueError("a repeated group that ends in a repeat may take forever: repeat only one of the two")
    return value


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[list[Text], BeforeValidator(_list)]
Patterns = Annotated[list[Annotated[Text, AfterValidator(_pattern)]], BeforeValidator(_list)]


class Examples(Spec):
    """Texts of which it is known whether they have the category. The first of each kind is shown to a model coder."""

    yes: Texts = Field(min_length=3)
    """Texts that have it."""
    no: Texts = Field(min_length=3)
    """Texts that lack it, hard ones among them."""

    @model_validator(mode="after")
    def _distinct(self) -> Examples:
        if set(self.yes) & set(self.no):
            raise ValueError("the same example stands under yes and under no")
        return self


class Category(Spec):
    """One category of content."""

    definition: Text
    """What a text must have to be in it: one sentence that two people would apply alike."""
    question: Text
    """What a model coder is asked about a text, as a question for yes or no."""
    include: Texts = Field(min_length=1)
    """What counts, rule by rule."""
    exclude: Texts = Field(min_length=1)
    """What does not count though it may look like it."""
    examples: Examples
    words: dict[Name, Annotated[Texts, Field(min_length=1)]] = Field(default={})
    """Lists of words that patterns name as {list}."""
    patterns: Patterns = Field(default=[])
    """Regular expressions for the rules coder; each matches whole words in any case."""
    exceptions: Patterns = Field(default=[])
    """Regular expressions of what only looks like a match: taken out of a text before the patterns are looked for."""


def _plain_names(categories: dict[str, Category]) -> dict[str, Category]:
    for name in categories:
        if "." in name or name == ANY:
            raise ValueError(f"a category cannot be called {name!r}: no dot, and not {ANY!r}")
    return categories


class Codebook(Spec):
    """What is coded, and how."""

    name: Text
    version: Text
    note: Text
    """What a reader is told before texts of these categories are shown."""
    categories: Annotated[dict[Name, Category], Field(min_length=1), AfterValidator(_plain_names)]

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("expected a mapping with the keys name, version, note and categories")
        return value


@dataclass(frozen=True, slots=True)
class CodebookFile:
    """A codebook and the file that it was read from."""

    written: str
    """The path as the suite has it."""
    sha256: str
    """Of the file's bytes, as hexadecimal digits."""
    codebook: Codebook


def open_codebook(written: str, folder: Path) -> CodebookFile:
    """Read a codebook; a relative path starts at `folder`. ValueError names every mistake with its place."""
    path = placed(written, folder)
    raw = read_file(path).data
    try:
        codebook = read_model(raw, str(path), Codebook)
    except SuiteError as error:
        raise ValueError("; ".join(error.problems)) from None
    return CodebookFile(written, hashlib.sha256(raw).hexdigest(), codebook)
