"""Kind content: how common the categories of a codebook are in what a model writes, and whether coders agree on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import BeforeValidator, Field, computed_field, field_validator, model_validator

from llmaudit.audit import Audit, AuditParams, Context, Measurement, Metric, Name, Setting, Table
from llmaudit.coding import exhibits
from llmaudit.coding.codebook import ANY, Codebook
from llmaudit.coding.codes import Coded, Codes, by_model, by_people, by_rules, held_out, is_blank
from llmaudit.coding.model import ModelCoder
from llmaudit.coding.paths import CodebookPath, HumanPath
from llmaudit.coding.prevalence import gaps_of_prevalence, prevalence_estimates
from llmaudit.coding.reliability import (
    MIN_UNITS,
    ONE_CODER,
    UNIT,
    Reliability,
    agreement_estimates,
    double_coded,
    reliability,
)
from llmaudit.engines.base import Variant
from llmaudit.errors import CapabilityError
from llmaudit.gaps import Cells
from llmaudit.prompts import render
from llmaudit.stats import design_problem
from llmaudit.stimuli import Groups, SamplingParams, Templates
from llmaudit.types import Completion, Estimate, Failure, Generate, Request, Sample, Score

__all__ = ["Content"]

_COEFFICIENTS = {
    "alpha": "Krippendorff's alpha of all coders",
    "kappa": "Cohen's kappa of the first two coders",
}


def _by_set(value: Any) -> Any:
    return {"all": value} if isinstance(value, list) else value


#: Set -> prompts; a bare list is one set.
Prompts = Annotated[
    dict[Name, Annotated[list[Annotated[str, Field(min_length=1, pattern=r"\S")]], Field(min_length=1)]],
    BeforeValidator(_by_set, json_schema_input_type=list[str] | dict[Name, list[str]]),
]


class Content(Audit["Content.Params"]):
    """How often does the model write identity-based, inflammatory, obscene or threatening language?

    Prompts x samples, or templates x groups x samples. Every answer is coded for the categories of a codebook; the
    first coder's codes are the prevalence. The prompt is the unit: answers are averaged within prompts first. A second
    coder codes a part of the answers again, and a category on which the coders do not agree decides nothing.
    """

    kind = "content"
    needs: ClassVar[frozenset[type[Request]]] = frozenset({Generate})
    limitations: ClassVar[tuple[str, ...]] = (
        "A category is what its coders find. Patterns miss what is implied, misspelt or ironic, and find what is quoted"
        " or reclaimed; a model coder has biases of its own, and the text that it codes can sway how it answers.",
        "Two coders can agree and both be wrong: agreement bounds how far codes can be trusted, it does not validate"
        " them. Two automatic coders may share a blindness that people would not have; human codes are better.",
        "Where a category is rare, alpha and kappa can be low though the coders agree on nearly every text (Feinstein"
        " and Cicchetti 1990): a rare category then stays undecided, and needs prompts that bring it out.",
        "The prevalence is that of the first coder's codes, not corrected for its errors.",
        "Word lists mark the dialects of minorities as offensive more often than other English (Sap et al. 2019), and"
        " patterns that name some groups and not others make gaps of their own.",
        "Prevalence is of these prompts: it is no rate of what users of the model meet.",
    )

    class Params(AuditParams):
        """The parameters of a content audit."""

        kind: Literal["content"]
        codebook: CodebookPath
        """The codebook, a YAML file; a relative path starts at the suite's folder."""
        prompts: Prompts = Field(default={})
        """Set -> prompts, or one list; or else groups and templates."""
        groups: Groups = Field(default={})
        """Group name -> how the group is named."""
        templates: Templates = Field(default={})
        """Prompts with slots for the groups, as a list or as lists by set."""
        samples: int = Field(default=2, ge=1)
        """Completions per prompt (and group)."""
        sampling: SamplingParams = SamplingParams()
        prompt: Literal["raw", "chat"] = "raw"
        """Whether a prompt is continued as it is, or is a user's turn in the model's chat template."""
        coders: list[Literal["rules", "model"]] = Field(default=["rules", "model"], min_length=1)
        """Who codes the answers; the first one's codes are the prevalence."""
        coder_model: str | None = Field(default=None, min_length=1)
        """The model that codes; the one under audit where left out."""
        coder_prompt: Literal["raw", "chat"] = "raw"
        """Whether the coding model is asked as it is, or in its chat template."""
        calibrate: bool = True
        """Whether what the coding model answers about a content-free text is subtracted."""
        double_coded: int = Field(default=60, ge=1)
        """How many answers a model codes where it is the second coder."""
        human: HumanPath | None = None
        """A CSV file of human codes: the column text and one column per category, 0, 1 or empty."""

        @computed_field  # type: ignore[prop-decorator]
        @property
        def codebook_sha256(self) -> str:
            """SHA-256 of the codebook's bytes, as hexadecimal digits."""
            return self.codebook.sha256

        @computed_field  # type: ignore[prop-decorator]
        @property
        def human_sha256(self) -> str | None:
            """SHA-256 of the bytes of the human codes, as hexadecimal digits."""
            return self.human.sha256 if self.human else None

        @field_validator("coders")
        @classmethod
        def _distinct_coders(cls, coders: list[str]) -> list[str]:
            if twice := next((coder for coder in coders if coders.count(coder) > 1), None):
                raise ValueError(f"the coder {twice!r} stands here twice")
            return coders

        @model_validator(mode="after")
        def _stimuli(self) -> Content.Params:
            if bool(self.prompts) == bool(self.templates) or bool(self.groups) != bool(self.templates):
                raise ValueError("needs either prompts, or groups and templates")
            texts = [text for texts in self.sets.values() for text in texts]
            if not texts:
                raise ValueError("templates: needs at least one template")
            if twice := next((text for text in texts if texts.count(text) > 1), None):
                raise ValueError(f"the prompt {twice!r} stands here twice")
            if self.sampling.temperature == 0 and self.samples > 1:
                raise ValueError("temperature 0 gives the same answer every time: samples must be 1")
            return self

        @model_validator(mode="after")
        def _names(self) -> Content.Params:
            if both := self.sets.keys() & self.groups.keys():
                raise ValueError(f"{min(both)!r} is the name of a group and of a set of prompts: change one of them")
            if "rules" in self.coders:
                for name, category in self.codebook.codebook.categories.items():
                    if not category.patterns:
                        raise ValueError(f"the category {name!r} of the codebook has no patterns for the coder rules")
            return self

        @property
        def sets(self) -> Mapping[str, Sequence[str]]:
            """Set -> prompts or templates: the clusters."""
            return self.prompts or self.templates

        @property
        def coder_names(self) -> list[str]:
            """Every coder, the human ones last."""
            return [*self.coders, *(["human"] if self.human else [])]

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Shares per category, set and group, gaps between groups, and the agreement of the coders."""
        found = {
            "prevalence": Metric("share of answers with the commonest category", "proportion", "lower"),
            ANY: Metric("share of answers with any category", "proportion", "lower"),
        }
        for name in self._categories:
            found[f"prevalence.{name}"] = Metric(f"share of answers with {name}", "proportion", "lower")
            for part in self._parts:
                words = f"share of answers with {name}, {part}"
                found[f"prevalence.{name}.{part}"] = Metric(words, "proportion", "lower")
        for name in self._categories if self.params.groups else ():
            words = f"largest difference of the share of {name} between two groups, within templates"
            found[f"prevalence_gap.{name}"] = Metric(words, "proportion", "lower")
            for a, b in combinations(self.params.groups, 2):
                words = f"share of answers with {name}, {a} minus {b}, within templates"
                found[f"prevalence_gap.{name}.{a}-{b}"] = Metric(words, "proportion", "zero")
        for coefficient, words in _COEFFICIENTS.items() if len(self.params.coder_names) > 1 else ():
            found[coefficient] = Metric(f"{words}, on the category where it is lowest", UNIT, "higher")
            for name in self._categories:
                found[f"{coefficient}.{name}"] = Metric(f"{words}, on {name}", UNIT, "higher")
        return found

    def requests(self) -> Iterator[Request]:
        """Every prompt, or every template with every group, `samples` times."""
        sampling = self.params.sampling.sampling()
        for name, texts in self.params.sets.items():
            for number, text in enumerate(texts):
                for prompt, group in self._rendered(number, text):
                    for sample in range(self.params.samples):
                        yield Generate(
                            prompt=prompt,
                            cluster=text,
                            sampling=sampling,
                            sample=sample,
                            stream=text,
                            chat=self.params.prompt == "chat",
                            factors={"set": name, **group},
                        )

    def coder_requests(self, answers: Sequence[Sample]) -> Iterator[Request]:
        """What the model coder is asked: about answers, and about the codebook's examples that its question lacks."""
        texts = _texts(answers)
        chosen = {str(index): texts[index] or "" for index in self._for_model(answers, texts)}
        for name, category in self._codebook.categories.items():
            yield from self._coder.requests(name, {**chosen, **held_out(category)})

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        """Have answers written, then coded; the samples are the answers."""
        if "model" not in self.params.coders:
            return super().run(context)
        engine = context.open_model(Variant(self.params.coder_model)) if self.params.coder_model else context.engine
        if Score not in engine.capabilities:
            raise CapabilityError(f"the engine {engine.info.engine} does not answer Score, which the model coder needs")
        answers = context.answer(self.requests())
        coded = context.answer(self.coder_requests(answers), engine)
        return self.measure([*answers, *coded]), answers

    def problems(self) -> Mapping[str, str]:
        """Too few prompts, or too few answers that two coders see, cannot decide anything."""
        clusters = {name: len(texts) for name, texts in self.params.sets.items()}
        whole, unsure = sum(clusters.values()), self._too_few_codes
        found: dict[str, str] = {}
        for metric in self.metrics:
            bare, _, facet = metric.partition(".")
            size = clusters.get(facet.partition(".")[2], whole) if bare == "prevalence" else whole
            reason = design_problem(size) or (None if bare in _COEFFICIENTS else unsure)
            if reason:
                found[metric] = reason
        return found

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Code the answers, hold the coders against each other, and take shares of the first coder's codes.

        `samples` are the answers and what the model coder was asked. Evidence and scores refer to the answers, which
        come first.
        """
        answers = [sample for sample in samples if isinstance(sample.request, Generate)]
        asked = [sample for sample in samples if isinstance(sample.request, Score)]
        coded = self._coded(answers, self._coder.margins(asked))
        facets = [reliability(name, coded.of_category(name), coded.clusters) for name in coded.first]
        estimates = self._estimates(coded, answers, facets)
        limits = {metric: check.max for metric, check in self.params.checks.items() if check.max is not None}
        failed = sum(isinstance(sample.response, Failure) for sample in asked)
        return Measurement(
            estimates=estimates,
            figures=exhibits.figures(estimates, self._categories, self._parts, limits),
            tables=self._tables(coded, facets, estimates, asked),
            scores=coded.scores(),
            evidence=exhibits.evidence(coded, estimates, self._inside(answers)),
            notes=exhibits.notes(self._codebook, coded, facets, self.params.human, failed),
        )

    def settings(self) -> Sequence[Setting]:
        """Sampling, coders, groups and the number of prompts."""
        sampling = self.params.sampling.model_dump(exclude_defaults=False)
        return [
            *super().settings(),
            *(Setting(name, str(value)) for name, value in sampling.items()),
            Setting("coders", ", ".join(self.params.coder_names)),
            *(Setting(f"prompts, {name}", str(len(texts))) for name, texts in self.params.sets.items()),
            *(Setting(f"group {name}", ", ".join(group.labels)) for name, group in self.params.groups.items()),
        ]

    @property
    def _codebook(self) -> Codebook:
        return self.params.codebook.codebook

    @property
    def _categories(self) -> list[str]:
        return list(self._codebook.categories)

    @property
    def _parts(self) -> list[str]:
        """The sets of prompts, where there are several, and the groups: what prevalence has facets for."""
        sets = list(self.params.sets)
        return [*(sets if len(sets) > 1 else ()), *self.params.groups]

    @property
    def _coder(self) -> ModelCoder:
        return ModelCoder(self._codebook, self.params.coder_prompt == "chat", self.params.calibrate)

    @property
    def _too_few_codes(self) -> str | None:
        """Why two coders cannot be compared, as far as that is known before any answer is."""
        if len(self.params.coder_names) == 1:
            return f"design: {ONE_CODER}"
        prompts = sum(map(len, self.params.sets.values()))
        answers = prompts * self.params.samples * max(1, len(self.params.groups))
        most = min(answers, self.params.double_coded) if self.params.coders == ["rules", "model"] else answers
        if most >= MIN_UNITS or self.params.human:
            return None
        return (
            f"design: at most {most} answers are coded twice, agreement needs {MIN_UNITS}: raise double_coded, samples"
        )

    def _rendered(self, number: int, text: str) -> Iterator[tuple[str, dict[str, str]]]:
        """A prompt with every group, whose names take turns from prompt to prompt."""
        if not self.params.groups:
            yield text, {}
        for name, group in self.params.groups.items():
            variants = group.variants()
            yield render(text, variants[number % len(variants)]), {"group": name}

    def _for_model(self, answers: Sequence[Sample], texts: Sequence[str | None]) -> list[int]:
        """Which answers the model codes: all where it is the first coder, else a part and what people coded."""
        usable = [not is_blank(text) for text in texts]
        clusters = [answer.request.cluster for answer in answers]
        size = len(texts) if self.params.coders[0] == "model" else self.params.double_coded
        human = self.params.human
        known = [index for index, text in enumerate(texts) if usable[index] and text and human and human.knows(text)]
        return sorted({*double_coded(clusters, usable, size, self.seed), *known})

    def _coded(self, answers: Sequence[Sample], margins: Mapping[str, Mapping[str, float]]) -> Coded:
        texts = _texts(answers)
        codes: dict[str, Codes] = {
            coder: by_rules(self._codebook, texts) if coder == "rules" else by_model(margins, texts)
            for coder in self.params.coders
        }
        if self.params.human:
            codes["human"] = by_people(self.params.human, self._categories, texts)
        return Coded.of(texts, [answer.request.cluster for answer in answers], codes)

    def _estimates(self, coded: Coded, answers: Sequence[Sample], facets: Sequence[Reliability]) -> dict[str, Estimate]:
        problems = {facet.category: facet.problem for facet in facets}
        found = prevalence_estimates(coded, self._inside(answers), problems)
        if self.params.groups:
            groups = [str(answer.request.factors["group"]) for answer in answers]
            cells = Cells.of(coded.clusters, groups, list(self.params.groups))
            found |= gaps_of_prevalence(coded, cells, problems, self.seed)
        if len(coded.codes) > 1:
            named = [facet for facet in facets if facet.category != ANY]
            found |= agreement_estimates("alpha", named) | agreement_estimates("kappa", named)
        return found

    def _inside(self, answers: Sequence[Sample]) -> dict[str, list[bool]]:
        """Set or group -> which answers are its own."""
        labels = [set(answer.request.factors.values()) for answer in answers]
        return {part: [part in each for each in labels] for part in self._parts}

    def _tables(
        self,
        coded: Coded,
        facets: Sequence[Reliability],
        estimates: Mapping[str, Estimate],
        asked: Sequence[Sample],
    ) -> tuple[Table, ...]:
        coder = self._coder
        return (
            exhibits.reliability_table(facets, list(coded.codes)),
            exhibits.prevalence_table(estimates, self._categories, self._parts),
            exhibits.confusion_table(coded),
            exhibits.examples_table(self._codebook, self.params.coders, coder.margins(asked), coder.leanings(asked)),
            exhibits.codebook_table(self._codebook),
        )


def _texts(answers: Sequence[Sample]) -> list[str | None]:
    return [answer.response.text if isinstance(answer.response, Completion) else None for answer in answers]


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [Content]
