"""Multiple choice by likelihood: which option a model finds most likely, and whose answers flip.

Flips: Dutta et al. 2024 (arXiv 2407.09141). Accuracies that differ by two points hid flips of 5 to 14 % of the items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from llmaudit.audit import Metric, Spec
from llmaudit.facets import Facet, absent, declared, faceted, proportion
from llmaudit.groups import Text
from llmaudit.types import Estimate, Factor, Likelihood, Request, Sample, Score

__all__ = ["Answers", "ChoiceParams", "Choices", "choice_estimates", "choice_metrics", "choice_requests"]

#: Share of items without an answer above which the others cannot stand for them.
MAX_MISSING = 0.20

Array = NDArray[np.float64]


class ChoiceParams(Spec):
    """A question with its options."""

    question: Text
    """What comes before the option; a space is put between the two."""
    options: list[Text] = Field(min_length=2)
    answer: int = Field(ge=0)
    """Index of the right option, from 0."""
    cluster: Text | None = None
    """The unit of analysis that the item belongs to; the item itself where left out."""

    @model_validator(mode="after")
    def _possible(self) -> ChoiceParams:
        if self.answer >= len(self.options):
            raise ValueError(f"answer {self.answer}: the options are numbered 0 to {len(self.options) - 1}")
        if len(set(self.options)) < len(self.options):
            raise ValueError("two options are the same text")
        return self


def _each_once(items: list[ChoiceParams]) -> list[ChoiceParams]:
    seen: dict[str, int] = {}
    for number, item in enumerate(items, start=1):
        if item.question in seen:
            raise ValueError(f"items {seen[item.question]} and {number} ask the same question")
        seen[item.question] = number
    return items


#: Items, none of them twice.
Choices = Annotated[list[ChoiceParams], AfterValidator(_each_once)]

_METRICS: Mapping[str, Metric] = {
    "flips": Metric("share of items whose answer becomes wrong, or right", "proportion", "lower"),
    "harmful_flips": Metric("share of items whose right answer becomes wrong", "proportion", "lower"),
    "beneficial_flips": Metric("share of items whose wrong answer becomes right", "proportion", "higher"),
    "any_flip": Metric("share of items whose answer changes at all", "proportion", "lower"),
}
_ACCURACY = Metric("share of items that are answered right", "proportion", "higher")


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answered: the index of an option per item, NaN where there is no answer."""

    chosen: Array

    @classmethod
    def of(cls, items: Sequence[ChoiceParams], samples: Sequence[Sample], by: Literal["total", "token"]) -> Answers:
        """Choose the option with the highest log-likelihood, in total or per token; of equal ones the first."""
        likelihoods: dict[tuple[str, int], float] = {}
        for sample in samples:
            request, response = sample.request, sample.response
            if isinstance(request, Score) and isinstance(response, Likelihood):
                value = response.logprob / (response.tokens if by == "token" else 1)
                likelihoods[request.context, int(request.factors["option"])] = value
        found = [[likelihoods.get((item.question, n), np.nan) for n in range(len(item.options))] for item in items]
        return cls(np.array([np.nan if np.isnan(each).any() else float(np.argmax(each)) for each in found]))


def choice_requests(items: Sequence[ChoiceParams], model: str) -> Iterator[Request]:
    """Score every option of every item."""
    for item in items:
        for number, option in enumerate(item.options):
            factors: dict[str, Factor] = {"part": "choice", "model": model, "option": number}
            text = option if option[:1].isspace() else f" {option}"
            yield Score(item.question, text, item.cluster or item.question, factors=factors)


def choice_metrics(variants: list[str]) -> dict[str, Metric]:
    """Every metric of the items."""
    found: dict[str, Metric] = {}
    for name, metric in _METRICS.items():
        found |= declared(name, metric, variants)
    return found | declared("accuracy", _ACCURACY, variants, "reference")


def choice_estimates(
    items: Sequence[ChoiceParams], reference: Answers, variants: Mapping[str, Answers | str]
) -> dict[str, Estimate]:
    """Estimate flips and accuracies; a variant that there is none of is a reason instead."""
    right = np.array([item.answer for item in items], dtype=np.float64)
    before = _correct(reference, right)
    tables: dict[str, dict[str, Facet] | str] = {}
    for name, answers in variants.items():
        tables[name] = (
            answers
            if isinstance(answers, str)
            else {
                metric: _facet(items, values, len(variants))
                for metric, values in _changes(reference, answers, right).items()
            }
        )
    found: dict[str, Estimate] = {}
    for metric_name, metric in {**_METRICS, "accuracy": _ACCURACY}.items():
        facets = {name: absent(each) if isinstance(each, str) else each[metric_name] for name, each in tables.items()}
        also = {"reference": _facet(items, before, 1)} if metric_name == "accuracy" else {}
        found |= faceted(metric_name, metric, facets, also)
    return found


def _changes(reference: Answers, answers: Answers, right: Array) -> dict[str, Array]:
    before, after = _correct(reference, right), _correct(answers, right)
    lost = np.isnan(before) | np.isnan(after)
    found = {
        "flips": before != after,
        "harmful_flips": before > after,
        "beneficial_flips": before < after,
        "any_flip": reference.chosen != answers.chosen,
    }
    return {**{name: np.where(lost, np.nan, changed) for name, changed in found.items()}, "accuracy": after}


def _correct(answers: Answers, right: Array) -> Array:
    return np.where(np.isnan(answers.chosen), np.nan, answers.chosen == right)


def _facet(items: Sequence[ChoiceParams], values: Array, variants: int) -> Facet:
    clusters: dict[str, list[float]] = {}
    for item, value in zip(items, values.tolist(), strict=True):
        if not np.isnan(value):
            clusters.setdefault(item.cluster or item.question, []).append(value)
    means = {name: float(np.mean(inside)) for name, inside in clusters.items()}
    lost = int(np.isnan(values).sum())
    facet = proportion(np.array(list(means.values())), len(items) - lost, variants)
    problem = f"{lost} of {len(items)} items have no answer" if lost > MAX_MISSING * len(items) else None
    return Facet(
        facet.value, facet.n, facet.clusters, facet.own, facet.joint, lost, problem=problem, cluster_values=means
    )
