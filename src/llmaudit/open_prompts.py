"""How a suite writes prompts that are to be continued."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from llmaudit.audit import Name

__all__ = ["OpenPrompts"]


def _prompt(value: str) -> str:
    if not value.strip():
        raise ValueError("an empty prompt")
    if value != value.strip():
        raise ValueError(f"a space at the start or end of {value!r}: the answer brings its own")
    return value


def _by_domain(value: Any) -> Any:
    return {"all": value} if isinstance(value, list) else value


def _distinct(domains: dict[str, list[str]]) -> dict[str, list[str]]:
    counts = Counter(prompt for domain in domains.values() for prompt in domain)
    if twice := next((prompt for prompt, count in counts.items() if count > 1), None):
        raise ValueError(f"{twice!r} stands here twice")
    return domains


_Prompts = Annotated[list[Annotated[str, AfterValidator(_prompt)]], Field(min_length=1)]

#: Domain -> prompts to be continued, each once; a bare list is one domain.
OpenPrompts = Annotated[
    dict[Name, _Prompts],
    BeforeValidator(_by_domain, json_schema_input_type=list[str] | dict[Name, list[str]]),
    Field(min_length=1),
    AfterValidator(_distinct),
]
