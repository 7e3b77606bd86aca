"""Greedy continuations: where a variant's parts from the reference's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from llmaudit.audit import Metric, Spec
from llmaudit.facets import Facet, absent, declared, faceted, mean
from llmaudit.groups import Text
from llmaudit.types import Estimate, Generate, Request, Sampling

__all__ = ["ContinuationParams", "continuation_estimates", "continuation_metrics", "continuation_requests", "parting"]

#: Share of prompts without a continuation above which the others cannot stand for them.
MAX_MISSING = 0.20


def _distinct(prompts: list[str]) -> list[str]:
    if len(set(prompts)) < len(prompts):
        number = next(number for number, prompt in enumerate(prompts) if prompt in prompts[:number])
        raise ValueError(f"prompt {number + 1} stands here twice")
    return prompts


class ContinuationParams(Spec):
    """Prompts that both models continue with the most likely token at every step."""

    prompts: Annotated[list[Text], Field(min_length=1), AfterValidator(_distinct)]
    max_new_tokens: int = Field(default=32, ge=1)


_METRIC = Metric(
    "tokens that the greedy continuations share before they part; all that were asked for where they never do",
    "tokens",
    "higher",
)


def continuation_requests(params: ContinuationParams, model: str) -> Iterator[Request]:
    """Continue every prompt."""
    sampling = Sampling(temperature=0, max_new_tokens=params.max_new_tokens)
    for prompt in params.prompts:
        yield Generate(prompt, prompt, sampling, factors={"part": "continuation", "model": model})


def continuation_metrics(variants: list[str]) -> dict[str, Metric]:
    """The one metric of the prompts."""
    return declared("first_divergence", _METRIC, variants)


def parting(reference: Sequence[int], model: Sequence[int], most: int) -> int:
    """Number of tokens before two continuations part; `most` where they are the same."""
    pairs = zip(reference, model, strict=False)
    first = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(reference), len(model)))
    return most if len(reference) == len(model) == first else min(first, most)


def continuation_estimates(
    params: ContinuationParams, partings: Mapping[str, Mapping[str, int] | str]
) -> dict[str, Estimate]:
    """Estimate from the parting of every prompt; a variant that there is none of is a reason instead."""
    facets = {
        name: absent(each) if isinstance(each, str) else _facet(params, each, len(partings))
        for name, each in partings.items()
    }
    return faceted("first_divergence", _METRIC, facets)


def _facet(params: ContinuationParams, partings: Mapping[str, int], variants: int) -> Facet:
    values: NDArray[np.float64] = np.array(list(partings.values()), dtype=np.float64)
    lost = len(params.prompts) - len(values)
    problem = (
        f"{lost} of {len(params.prompts)} prompts have no continuation"
        if lost > MAX_MISSING * len(params.prompts)
        else None
    )
    never = float((values == params.max_new_tokens).mean()) if values.size else 0.0
    return replace(
        mean(values, variants),
        missing=lost,
        problem=problem,
        cluster_values={prompt: float(value) for prompt, value in partings.items()},
        details={"share that never part": never},
    )
