"""Files that a suite names and that are written like one: strict YAML, read into a model."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from llmaudit.suite.problems import refusal
from llmaudit.suite.strict_yaml import decode, read
from llmaudit.suite.validation import problems_of

__all__ = ["read_model"]

M = TypeVar("M", bound=BaseModel)


def read_model(raw: bytes, filename: str, model: type[M]) -> M:
    """Read the bytes of a file into a model, or raise SuiteError with every mistake in it and its place."""
    document = read(decode(raw, filename), filename)
    problems = list(document.problems)
    try:
        found = model.model_validate(document.data)
    except ValidationError as error:
        problems += problems_of(error, document, (), model)
        raise refusal(filename, problems) from None
    if problems:
        raise refusal(filename, problems)
    return found
