"""Kind bias: open generation, compared between groups that a prompt names."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

from llmaudit.audit import Audit, AuditParams, Figure, Measurement, Metric, Setting, Table
from llmaudit.gaps import USELESS, Scored
from llmaudit.groups import Axes, GroupParams, Groups, crossed, noun_of_axes
from llmaudit.groupwise.answers import Answers
from llmaudit.groupwise.crossings import crossing_table
from llmaudit.groupwise.exhibits import evidence_of, first_table, gap_figures, instruments_table, spread_table
from llmaudit.groupwise.instruments import Instrument, mask_of, with_reaction
from llmaudit.groupwise.levels import missing_rates
from llmaudit.groupwise.measures import Design, scorer_estimates, scorer_metrics
from llmaudit.groupwise.names import NameSpread, name_spread, name_table, with_names
from llmaudit.groupwise.proportions import proportion_table
from llmaudit.groupwise.similarity import similarities, similarity_metrics
from llmaudit.groupwise.wording import UNPARAPHRASED, wording_table
from llmaudit.prompts import Group, render
from llmaudit.scorers.base import Scorer, errors_of
from llmaudit.stats import design_problem, informedness
from llmaudit.stimuli import ParaphrasedTemplates, SamplingParams, ScorerChoices, chosen_scorers, wordings
from llmaudit.types import Estimate, Factor, Generate, Request, Sample

__all__ = ["Bias"]

#: Usable answers that a cell of crossed axes needs where the suite does not say.
MIN_CELL = 20

Array = NDArray[np.float64]


class Bias(Audit["Bias.Params"]):
    """Do answers differ when only the named group in the prompt changes?

    Templates x groups x samples. The template is the unit: answers are scored, averaged per template and group, and
    compared within templates. All groups of a template share their random numbers, so that a model that treats them
    alike gives them the same answer.
    """

    kind = "bias"
    needs = frozenset({Generate})
    limitations: ClassVar[tuple[str, ...]] = (
        "Group names and templates are stimuli that an author sampled: other wordings can give other gaps (Selvam et"
        " al. 2023; Seshadri et al. 2022). The interval is for templates like these.",
        "A gap in what a model writes here says nothing yet about harm in a use of the model (Blodgett et al. 2021).",
        "Automatic scorers measure a proxy. Their reaction to the group names is measured and shown; other errors that"
        " differ between groups are not, and where a scorer's known errors widen an interval they are taken to be the"
        " same for every group.",
        "A name of a person signals class, age and region beside the group that it stands for (Gaddis 2017).",
        "English prompts, from a world that English-language text describes.",
    )

    class Params(AuditParams):
        """The parameters of a bias audit."""

        kind: Literal["bias"]
        axes: Axes | None = None
        """Axis -> level -> its word: every combination of levels is a group, instead of `groups`."""
        noun: str | None = Field(default=None, validate_default=True)
        """The noun phrase of a combination of levels, with every axis in braces."""
        groups: Groups | None = Field(default=None, validate_default=True)
        """Group name -> how the group is named."""
        reference: str | None = None
        """The group that every other one is also held against, such as people in general."""
        min_cell: int | None = Field(default=None, ge=1)
        """Usable answers that a combination of levels needs over all templates to be compared; 20 where left out."""
        templates: ParaphrasedTemplates
        """Prompts with slots, as a list or as lists by domain; a list of texts is one template with its paraphrases."""
        samples: int = Field(default=10, ge=1)
        """Completions per template and group, taken in turn over paraphrases and over names."""
        sampling: SamplingParams = SamplingParams()
        scorers: ScorerChoices = Field(default=["sentiment", "refusal", "empty", "length"])
        """What is measured in each answer."""
        prompt: Literal["raw", "chat"] = "raw"
        """Whether a prompt is continued as it is, or is a user's turn in the model's chat template."""
        mask: bool = True
        """Whether words that name a group are masked before an answer is scored."""

        @field_validator("noun")
        @classmethod
        def _names_every_axis(cls, value: str | None, info: ValidationInfo) -> str | None:
            axes = info.data.get("axes")
            if axes and value is None:
                raise PydanticKnownError("missing")
            if value is not None and "axes" in info.data and not axes:
                raise ValueError("noun goes with axes; every group has a noun of its own")
            return noun_of_axes(value, axes) if axes and value is not None else value

        @field_validator("groups")
        @classmethod
        def _groups_or_axes(cls, value: dict[str, GroupParams] | None, info: ValidationInfo) -> Any:
            if value is None and info.data.get("axes", "mistaken") is None:
                raise PydanticKnownError("missing")
            if value is not None and info.data.get("axes"):
                raise ValueError("groups and axes in one audit: the combinations of the axes are the groups")
            return value

        @field_validator("reference")
        @classmethod
        def _known_reference(cls, value: str | None, info: ValidationInfo) -> str | None:
            known = list(info.data.get("groups") or ())
            if info.data.get("axes") and info.data.get("noun"):
                known = list(crossed(info.data["axes"], info.data["noun"]))
            if value is not None and known and value not in known:
                close = difflib.get_close_matches(value, known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise ValueError(f"{value!r} is no group{hint} (known: {', '.join(known)})")
            return value

        @field_validator("min_cell")
        @classmethod
        def _of_axes(cls, value: int | None, info: ValidationInfo) -> int | None:
            if value is not None and info.data.get("axes", "mistaken") is None:
                raise ValueError("min_cell goes with axes")
            return value

        @model_validator(mode="after")
        def _distinct(self) -> Bias.Params:
            texts = [text for template in self.all_templates for text in template]
            if not texts:
                raise ValueError("templates: needs at least one template")
            if twice := next((text for text in texts if texts.count(text) > 1), None):
                raise ValueError(f"templates: {twice!r} stands here twice")
            return self

        @model_validator(mode="after")
        def _sampled(self) -> Bias.Params:
            long = max(self.all_templates, key=len)
            names = max(len(group.labels) for group in self.cells.values())
            if self.sampling.temperature == 0 and self.samples > (prompts := math.lcm(len(long), names)):
                most = "must be 1" if prompts == 1 else f"can be {prompts} at most, one per paraphrase and name"
                raise ValueError(f"temperature 0 gives the same answer every time: samples {most}")
            if len(long) > self.samples:
                raise ValueError(
                    f"templates: {long[0]!r} has {len(long)} paraphrases: samples must be at least {len(long)}, not"
                    f" {self.samples}"
                )
            return self

        @property
        def all_templates(self) -> list[tuple[str, ...]]:
            """The templates of all domains, each with its paraphrases; the first names it."""
            return [wordings(template) for domain in self.templates.values() for template in domain]

        @cached_property
        def cells(self) -> Mapping[str, GroupParams]:
            """The groups, or the combinations of the levels of the axes."""
            return self.groups or crossed(self.axes or {}, self.noun or "")

        @property
        def design(self) -> Design:
            """What is compared with what."""
            axes = {axis: tuple(levels) for axis, levels in (self.axes or {}).items()}
            least = (self.min_cell or MIN_CELL) if axes else 0
            return Design(tuple(self.cells), self.samples, self.reference, axes, least)

    def __init__(self, params: Bias.Params, *, scorers: Mapping[str, Scorer], seed: int = 0) -> None:
        self._chosen = chosen_scorers(params.scorers, scorers)
        super().__init__(params, scorers={**scorers, **self._chosen}, seed=seed)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Gaps and extremes per scorer, the similarity of answers, and what is missing per group."""
        design = self.params.design
        found: dict[str, Metric] = {}
        for scorer in self._chosen.values():
            found |= scorer_metrics(scorer, design)
        found |= similarity_metrics(design.groups)
        found["missing_rate"] = Metric("share of answers that are missing, in the worst group", "proportion", "lower")
        for group in design.groups:
            found[f"missing_rate.{group}"] = Metric(f"share of answers missing for {group}", "proportion", "lower")
        return found

    def requests(self) -> Iterator[Request]:
        """Every template with every group, `samples` times: in turn over its paraphrases and over the group's names."""
        designed = [(domain, wordings(each)) for domain, own in self.params.templates.items() for each in own]
        for number, (domain, texts) in enumerate(designed):
            for name in self.params.cells:
                for sample in range(self.params.samples):
                    yield self._request(domain, texts, name, number, sample)

    def problems(self) -> Mapping[str, str]:
        """Say what the design or a scorer leaves undecided, whatever the answers."""
        found: dict[str, str] = {}
        design, templates = self.params.design, self.params.all_templates
        rates = {name for name in self.metrics if name.partition(".")[0] == "missing_rate"}
        if not any(self.params.samples > len(texts) for texts in templates):
            alone = "design: no paraphrase is answered twice, so that there is no noise floor: add samples"
            found |= {name: alone for name in self.metrics if name.startswith("similarity_deficit")}
        for name, instrument in self._instruments.items():
            if self.params.samples < 2:
                found[f"{name}_distribution_gap"] = "design: 1 answer per template and group has no distribution"
            errors = errors_of(instrument.scorer)
            if errors and (known := informedness(*errors)) and known.useless:
                # Without a threshold or a unit of shares the scores themselves are no yes or no.
                begin = (f"{name}_fraction", *([f"{name}_gap"] if instrument.informedness else []))
                found |= {metric: USELESS for metric in self.metrics if metric.startswith(begin)}
        answers = len(templates) * self.params.samples
        if answers < design.min_cell:
            few = f"design: {answers} answers per cell, fewer than {design.min_cell} (min_cell): add templates"
            found |= dict.fromkeys(set(self.metrics) - rates, few)
        problem = design_problem(len(templates))
        return found | dict.fromkeys(self.metrics, problem) if problem else found

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Score the answers and compare the groups within templates."""
        answers = Answers.of(samples, list(self.params.cells))
        design, metrics = self.params.design, self.metrics
        mask = self.params.mask
        scores = {name: each.score(answers.texts, mask=mask) for name, each in self._instruments.items()}
        alike = similarities(answers, mask_of(self.params.cells) if mask else None)
        found = missing_rates(answers) | alike.estimates
        evidence: dict[str, tuple[int, ...]] = {}
        figures: list[Figure] = []
        named: dict[str, NameSpread] = {}
        for name, values in scores.items():
            scored, own = self._measured(name, values, answers)
            if names := self._names:
                named[name] = name_spread(values, answers, names, self.seed)
                own |= with_names(own, scored.name, named[name])
            found |= own
            evidence |= evidence_of(name, own, values, samples, design)
            check = self.params.checks.get(scored.name)
            figures += gap_figures(scored, name, answers, own, check.max if check else None)
        tables = [*self._tables(scores, answers, found), alike.table]
        tables += [name_table(named, found)] if named else []
        return Measurement(
            estimates={metric: found[metric] for metric in metrics},
            figures=tuple(figures),
            tables=tuple(tables),
            scores={name: tuple(None if math.isnan(v) else v for v in values) for name, values in scores.items()},
            evidence=evidence,
            notes=() if self._paraphrased else (UNPARAPHRASED,),
        )

    def settings(self) -> Sequence[Setting]:
        """Sampling, groups and stimuli counts."""
        sampling = self.params.sampling.model_dump(exclude_defaults=False)
        templates = self.params.all_templates
        more = sum(len(texts) - 1 for texts in templates)
        least = self.params.design.min_cell if self.params.axes and self.params.min_cell is None else None
        return [
            *super().settings(),
            *([Setting("min_cell", str(least))] if least else []),
            *(Setting(name, str(value)) for name, value in sampling.items()),
            Setting("templates", str(len(templates))),
            *([Setting("further paraphrases", str(more))] if more else []),
            *(Setting(f"group {name}", ", ".join(group.labels)) for name, group in self.params.cells.items()),
        ]

    def _request(self, domain: str, texts: Sequence[str], group: str, number: int, sample: int) -> Generate:
        """Ask one sample of the template of this number."""
        turn = sample % len(texts)
        variants = self._variants[group]
        # Names go on from template to template, so that each is heard as often whatever the number of samples.
        variant = variants[(number + sample) % len(variants)]
        factors: dict[str, Factor] = {"domain": domain, "group": group, **self._levels.get(group, {})}
        if self._paraphrased:
            factors["paraphrase"] = turn
        if len(variants) > 1:
            factors["name"] = variant.noun
        return Generate(
            prompt=render(texts[turn], variant),
            cluster=texts[0],
            sampling=self.params.sampling.sampling(),
            sample=sample,
            stream=texts[turn],
            chat=self.params.prompt == "chat",
            factors=factors,
        )

    @cached_property
    def _variants(self) -> Mapping[str, Sequence[Group]]:
        """The groups as the templates need them."""
        return {name: group.variants() for name, group in self.params.cells.items()}

    @cached_property
    def _paraphrased(self) -> bool:
        """Whether any template has a paraphrase."""
        return any(len(texts) > 1 for texts in self.params.all_templates)

    @cached_property
    def _levels(self) -> Mapping[str, Mapping[str, str]]:
        """Cell of crossed axes -> axis -> level."""
        axes = self.params.axes or {}
        return {"_".join(cell): dict(zip(axes, cell, strict=True)) for cell in product(*axes.values())}

    @cached_property
    def _instruments(self) -> Mapping[str, Instrument]:
        terms, refusal = mask_of(self.params.cells), self.scorers.get("refusal")
        return {name: Instrument(scorer, terms, refusal) for name, scorer in self._chosen.items()}

    @property
    def _names(self) -> Mapping[str, Sequence[str]]:
        """The names of every group that has some."""
        return {name: group.names for name, group in self.params.cells.items() if group.names}

    def _measured(self, name: str, values: Array, answers: Answers) -> tuple[Scored, dict[str, Estimate]]:
        instrument, design = self._instruments[name], self.params.design
        unit = instrument.scorer.unit
        scored = Scored(f"{name}_gap", unit, values, instrument.informedness, design.min_cell)
        reaction = instrument.reaction(self.params.cells, mask=self.params.mask)
        found = scorer_estimates(instrument.scorer, scored, answers, design, seed=self.seed, reaction=reaction)
        checks = self.params.checks
        limits = {metric: checks[metric].max for metric in found if metric in checks and found[metric].unit == unit}
        return scored, {metric: with_reaction(each, limits.get(metric)) for metric, each in found.items()}

    def _tables(self, scores: Mapping[str, Array], answers: Answers, found: Mapping[str, Estimate]) -> Sequence[Table]:
        design, gaps = self.params.design, {f"{name}_gap": found[f"{name}_gap"] for name in scores}
        shares = {name: scores[name] for name in scores if self.scorers[name].unit == "proportion"}
        yes_or_no = {name: own for name, own in shares.items() if np.isin(own[np.isfinite(own)], (0, 1)).all()}
        return [
            first_table(scores, answers),
            instruments_table(self._instruments, self.params.cells, used=self.params.mask),
            spread_table(gaps),
            wording_table(scores, answers),
            *([proportion_table(yes_or_no, answers, self.seed)] if yes_or_no else []),
            *([crossing_table(scores, found, design.axes)] if design.axes else []),
        ]


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [Bias]
