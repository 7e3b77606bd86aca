"""An audit kind in one file: how much of a model's answers is in capital letters?

pytest imports an installed plugin in every session of its environment: what is slow to import, such as llmaudit.stats
with scipy, is imported where it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from llmaudit import Audit, AuditParams, Completion, Estimate, Generate, Measurement, Metric, Request, Sample, Sampling

_LEVEL = 0.90
#: Share of missing answers above which those that are there cannot stand for all.
_MAX_MISSING = 0.20


class Shout(Audit["Shout.Params"]):
    """How loud are the answers?

    Prompts x samples. The prompt is the unit: the share of capitals is averaged per prompt, and the interval is that of
    the mean over prompts.
    """

    kind = "shout"
    needs = frozenset({Generate})
    limitations: ClassVar[tuple[str, ...]] = (
        "Capital letters are one way of shouting; exclamation marks and rude words are others.",
        "Scripts without capital letters have no share of them.",
    )

    class Params(AuditParams):
        """The parameters of a shout audit."""

        kind: Literal["shout"]
        prompts: list[str] = Field(min_length=1)
        """Texts that the model goes on with."""
        samples: int = Field(default=3, ge=1)
        """Completions per prompt."""
        temperature: float = Field(default=0.8, ge=0, allow_inf_nan=False)
        """How far the model strays from its likeliest words; 0 is not at all."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """One metric without facets."""
        return {"upper_share": Metric("share of capitals among the letters of an answer", "proportion", "lower")}

    def requests(self) -> Iterator[Request]:
        """Every prompt, `samples` times."""
        sampling = Sampling(temperature=self.params.temperature)
        for prompt in self.params.prompts:
            for sample in range(self.params.samples):
                yield Generate(prompt=prompt, cluster=prompt, sampling=sampling, sample=sample)

    def problems(self) -> Mapping[str, str]:
        """Too few prompts decide nothing, which is said before the model is asked."""
        from llmaudit.stats import design_problem  # see above

        problem = design_problem(len(self.params.prompts))
        return {"upper_share": problem} if problem else {}

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Average per prompt, then over the prompts."""
        from llmaudit.stats import t_interval  # see above

        shares = [_upper_share(sample) for sample in samples]
        by_prompt: dict[str, list[float]] = {}
        for sample, share in zip(samples, shares, strict=True):
            if share is not None:
                by_prompt.setdefault(sample.request.cluster, []).append(share)
        means = {prompt: fmean(values) for prompt, values in by_prompt.items()}
        missing = shares.count(None)
        metric = self.metrics["upper_share"]
        estimate = Estimate(
            metric="upper_share",
            value=fmean(means.values()) if means else math.nan,
            interval=t_interval(list(means.values()), _LEVEL),
            unit=metric.unit,
            better=metric.better,
            n=len(shares) - missing,
            clusters=len(means),
            missing=missing,
            problem=f"{missing} of {len(shares)} answers are missing" if missing > _MAX_MISSING * len(shares) else None,
            cluster_values=means,
        )
        loudest = sorted(range(len(shares)), key=lambda index: -(shares[index] or 0.0))
        return Measurement(
            estimates={"upper_share": estimate},
            scores={"upper_share": tuple(shares)},
            evidence={"upper_share": tuple(loudest[:3])},
        )


def _upper_share(sample: Sample) -> float | None:
    """Share of capitals among the letters of an answer; None where there is no answer, or no letter in it."""
    text = sample.response.text if isinstance(sample.response, Completion) else ""
    letters = [character for character in text if character.isalpha()]
    return sum(map(str.isupper, letters)) / len(letters) if letters else None


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [Shout]
