"""How a suite writes an experiment on speed and memory."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from llmaudit.audit import CheckParams
from llmaudit.engines.launches import Workload
from llmaudit.environment import gpus, processor
from llmaudit.performance.readings import ABSOLUTE

__all__ = [
    "Counts",
    "Design",
    "Hardware",
    "NewTokens",
    "Threads",
    "cells",
    "machine",
    "refuse_limits_without_hardware",
    "wrong_machine",
]

#: Which workloads there are: every combination of the sizes, or each size varied with the first of the others.
Design = Literal["crossed", "one_at_a_time"]


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _each_once(sizes: list[int]) -> list[int]:
    if twice := next((size for size in sizes if sizes.count(size) > 1), None):
        raise ValueError(f"{twice} stands here twice")
    return sizes


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return text


_Count = Annotated[int, Field(ge=1)]
_Listed = BeforeValidator(_listed, json_schema_input_type=int | list[int])

#: Sizes, each once; a bare number is one of them.
Counts = Annotated[list[_Count], _Listed, Field(min_length=1), AfterValidator(_each_once)]
#: At least two tokens, as the time per token is that of the tokens after the first.
NewTokens = Annotated[list[Annotated[int, Field(ge=2)]], _Listed, Field(min_length=1), AfterValidator(_each_once)]
#: Numbers of threads; none leaves them to torch.
Threads = Annotated[list[_Count], _Listed, AfterValidator(_each_once)]
#: A part of the machine's description, or a regular expression that matches one, in any case.
Hardware = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]


def cells(
    batch_sizes: Sequence[int], prompt_tokens: Sequence[int], new_tokens: Sequence[int], design: Design
) -> tuple[Workload, ...]:
    """Return the workloads of a design, the first of every size first."""
    crossed = [Workload(*sizes) for sizes in itertools.product(batch_sizes, prompt_tokens, new_tokens)]
    if design == "crossed":
        return tuple(crossed)
    first = crossed[0]
    return tuple(each for each in crossed if _differences(each, first) <= 1)


def machine() -> str:
    """The machine in words: processor, processors that it shows, and accelerators if a model has been loaded."""
    return ", ".join([processor(), f"{os.cpu_count()} processors", *(gpu["name"] for gpu in gpus())])


def wrong_machine(hardware: str | None) -> str | None:
    """Say why limits on times do not hold here; None where they do, or where no machine is named."""
    if hardware is None or re.search(hardware, found := machine(), re.IGNORECASE):
        return None
    return f"the limits hold for hardware {hardware!r}, and this is another machine: {found}"


def refuse_limits_without_hardware(checks: Mapping[str, CheckParams], hardware: str | None) -> None:
    """Refuse limits on times of a machine that nobody names. Raises ValidationError with the place of each."""
    mistakes = [] if hardware is not None else list(_absolute_limits(checks))
    if mistakes:
        raise ValidationError.from_exception_data("performance", mistakes)


def _absolute_limits(checks: Mapping[str, CheckParams]) -> Iterator[InitErrorDetails]:
    for name, check in checks.items():
        bare = name.partition(".")[0]
        bound = "max" if check.max is not None else "min"
        if bare not in ABSOLUTE or (check.max, check.min) == (None, None):
            continue
        words = (
            f"a limit on {bare} holds for one machine only: name it with hardware, or compare with a variant"
            " (speed_ratio, ttft_ratio, load_ratio)"
        )
        yield InitErrorDetails(
            type=PydanticCustomError("value_error", "{error}", {"error": ValueError(words)}),
            loc=("checks", name, bound),
            input=getattr(check, bound),
        )


def _differences(one: Workload, other: Workload) -> int:
    sizes = ("batch", "prompt_tokens", "new_tokens")
    return sum(getattr(one, size) != getattr(other, size) for size in sizes)
