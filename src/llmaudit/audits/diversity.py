"""Kind diversity: what the temperature does to how different answers are, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field, PrivateAttr, ValidationInfo, computed_field, field_validator, model_validator

from llmaudit.audit import Audit, AuditParams, Context, Figure, Measurement, Metric, Setting, Table
from llmaudit.diversity import entropies
from llmaudit.diversity.answer_sets import AnswerSets, usable
from llmaudit.diversity.answers import (
    GREEDY,
    Answers,
    Design,
    by_answer,
    by_text,
    determinism,
    evidence,
    measure_answers,
    measure_sets,
    sample_scores,
)
from llmaudit.diversity.encoders import check_encoder, encode, encoder_digest
from llmaudit.diversity.exhibits import answers_table, changes_table, frontier, level_curves, levels_table
from llmaudit.diversity.language import Contexts, DiversitySampling, Entropies, Nuclei, Temperatures
from llmaudit.diversity.levels import (
    Measure,
    Measured,
    change_estimates,
    change_metrics,
    level_estimates,
    level_metrics,
    neighbours,
    trend_estimates,
    trend_metrics,
)
from llmaudit.diversity.measures import ANSWERS, DIVERSITY, LOSS, SEMANTIC, plain_words
from llmaudit.open_prompts import OpenPrompts
from llmaudit.stats import design_problem
from llmaudit.stats.diversity import self_bleu_signature
from llmaudit.types import Estimate, Generate, NextToken, NextTokens, Request, Sample, Sampling, Score, Tokenize

__all__ = ["Diversity"]

#: Temperatures that are compared where a suite names none.
_TEMPERATURES = (0.1, 0.7, 1.2)
#: Contexts that are taken from the prompts where a suite names none.
_CONTEXTS = 8
#: Likely next tokens that are kept for the reader.
_TOP = 10


class Diversity(Audit["Diversity.Params"]):
    """Do answers grow more different as the temperature rises, and what does that cost?

    Prompts x levels x samples, and greedy repeats. The prompt is the unit: its answers at each level are cut to equal
    number and length and give one value of each measure. All levels of a prompt share their random numbers.
    """

    kind = "diversity"
    needs = frozenset({Generate, Score, NextToken, Tokenize})
    limitations: ClassVar[tuple[str, ...]] = (
        "The temperature mostly changes the form of answers and not what they say, and automatic measures are far worse"
        " than people at telling different content (Tevet and Berant 2021).",
        "A temperature divides logits, whose scale is a model's own: compare models at matched entropy, not at the same"
        " temperature.",
        "All of these measures depend on how many answers there are and how long they are, the Vendi score most of all:"
        " compare audits of equal `samples` and `length` only.",
        "More diverse is not better: noise is most diverse. Read diversity against what is lost.",
        "Words are what stands between white space: n-grams say little of scripts without spaces. A word that the"
        " vocabulary splits stands in for one that no dictionary has; rare names are split too.",
        "Greedy answers are repeated side by side, on one machine and often in one batch: that they are the same does"
        " not show that another run, batch or machine gives them again.",
        "That entropy rises with the temperature is a theorem: its check is of the implementation and says nothing of"
        " the model.",
    )

    class Params(AuditParams):
        """The parameters of a diversity audit."""

        kind: Literal["diversity"]
        prompts: OpenPrompts
        """Prompts, as a list or as lists by domain."""
        temperatures: Temperatures | None = None
        """Levels that are compared; 0.1, 0.7 and 1.2 where neither these nor top_p are named."""
        top_p: Nuclei | None = None
        """Levels of nucleus mass, in place of temperatures."""
        samples: int = Field(default=8, ge=2)
        """Answers per prompt and level."""
        length: int = Field(default=24, ge=4)
        """Tokens that answers are cut to before their diversity is measured."""
        sampling: DiversitySampling = DiversitySampling()
        prompt: Literal["raw", "chat"] = "raw"
        """Whether a prompt is continued as it is, or is a user's turn in the model's chat template."""
        encoder: str | None = None
        """Folder of a sentence encoder, from the suite's folder: adds vendi_semantic."""
        contexts: Contexts = Field(default=[])
        """Where the next token's distribution is looked at; the first prompts where left out."""
        matched_entropy: Entropies = Field(default=[])
        """Mean next-token entropies, in nats, at whose temperature answers are drawn too."""
        determinism: int = Field(default=3, ge=2)
        """Greedy answers per prompt, that should be the same."""
        _encoder_folder: Path | None = PrivateAttr(default=None)
        _encoder_sha256: str | None = PrivateAttr(default=None)

        @computed_field  # type: ignore[prop-decorator]
        @property
        def encoder_sha256(self) -> str | None:
            """SHA-256 of the encoder's files."""
            return self._encoder_sha256

        @field_validator("encoder")
        @classmethod
        def _is_encoder(cls, value: str | None, info: ValidationInfo) -> str | None:
            if value is not None:
                check_encoder(_beside_suite(value, info))
            return value

        @model_validator(mode="after")
        def _hash_encoder(self, info: ValidationInfo) -> Diversity.Params:
            if self.encoder is not None:
                self._encoder_folder = _beside_suite(self.encoder, info)
                self._encoder_sha256 = encoder_digest(self._encoder_folder)
            return self

        @model_validator(mode="after")
        def _consistent(self) -> Diversity.Params:
            if self.temperatures is not None and self.top_p is not None:
                raise ValueError("temperatures and top_p: one of them varies, leave out the other")
            if self.top_p is None and self.sampling.temperature is not None:
                raise ValueError("sampling: temperature is what varies: say temperatures, or vary top_p")
            if self.top_p is not None and self.matched_entropy:
                raise ValueError("matched_entropy is reached by a temperature: leave out top_p")
            if (self.sampling.max_new_tokens or self.length) < self.length:
                raise ValueError(
                    f"sampling: max_new_tokens is below length ({self.length}): every answer would be short"
                )
            return self

        @property
        def encoder_folder(self) -> Path | None:
            """Where the encoder stands; None where there is none."""
            return self._encoder_folder

        @property
        def all_prompts(self) -> list[str]:
            """The prompts of all domains."""
            return [prompt for domain in self.prompts.values() for prompt in domain]

        @property
        def all_contexts(self) -> list[str]:
            """The contexts, or the prompts that stand in for them."""
            return self.contexts or self.all_prompts[:_CONTEXTS]

        @property
        def levels(self) -> dict[str, Sampling]:
            """Level -> how answers are drawn there, in rising order."""
            if self.top_p is not None:
                return {str(mass): self._drawn(self.sampling.temperature or 1.0, mass) for mass in sorted(self.top_p)}
            return {str(t): self._drawn(t) for t in sorted(self.temperatures or _TEMPERATURES)}

        def matched(self, temperatures: Mapping[float, float]) -> dict[str, Sampling]:
            """Level -> how answers are drawn at the temperatures that were found for entropies."""
            return {f"H{entropy}": self._drawn(temperature) for entropy, temperature in temperatures.items()}

        @property
        def greedy(self) -> Sampling:
            """How the answers are drawn that should be the same."""
            return self._drawn(0.0)

        def _drawn(self, temperature: float, top_p: float = 1.0) -> Sampling:
            tokens = self.sampling.max_new_tokens or math.ceil(self.length * 4 / 3)
            return Sampling(temperature, top_p, self.sampling.top_k, tokens, tuple(self.sampling.stop))

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Diversity and loss by level, their changes, the trends, determinism, and entropies."""
        levels, apart = list(self.params.levels), self._apart
        found: dict[str, Metric] = {}
        for measure in (*self._diversity, *LOSS, *ANSWERS):
            found |= level_metrics(measure, levels, apart) | change_metrics(measure, self._pairs(measure))
        found |= trend_metrics(self._ordered)
        found["determinism"] = Metric(
            "share of prompts whose greedy answers are all the same", "proportion", "higher", deterministic=True
        )
        return found | entropies.entropy_metrics(levels, self.params.matched_entropy)

    def requests(self) -> Iterator[Request]:
        """Every prompt at every level and greedily, then the contexts. What is asked of the answers comes later."""
        yield from self._draws({})
        yield from self._contexts()

    def problems(self) -> Mapping[str, str]:
        """Diversity over too few prompts cannot be decided."""
        problem = design_problem(len(self.params.all_prompts))
        if problem is None:
            return {}
        judged = [name for name, metric in self.metrics.items() if not metric.deterministic]
        return dict.fromkeys(judged, problem.replace("add templates", "add prompts"))

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        """Look at the contexts, draw answers, cut them, and ask the model what it makes of them."""
        seen = context.answer(self._contexts())
        targets = self.params.matched_entropy
        matched = entropies.matched_temperatures(entropies.views(seen), targets, top_k=self.params.sampling.top_k)
        drawn = context.answer(self._draws(matched))
        texts = {text: sample.request.cluster for sample in drawn if (text := usable(sample)) is not None}
        cut = context.answer([Tokenize(text, prompt) for text, prompt in texts.items()])
        size = context.engine.info.facts.get("vocabulary_size")
        answers = Answers(drawn, seen, matched, by_text(cut), vocabulary=size if isinstance(size, int) else None)
        sets = self._sets(answers)
        asked = {(prompt, each.text): None for (prompt, _), found in sets.sets.items() for each in found}
        chat = self.params.prompt == "chat"
        scored = context.answer([Score(prompt, text, prompt, chat=chat) for prompt, text in asked])
        words = dict.fromkeys(word for _, text in asked for word in plain_words(text))
        whole = by_text(context.answer([Tokenize(f" {word}", word) for word in words]))
        answers = replace(
            answers,
            likelihoods=by_answer(scored),
            whole={text[1:]: len(tokens.ids) == 1 and not tokens.unknown for text, tokens in whole.items()},
        )
        return self._measured(answers, sets)

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Measure what the answers and the contexts alone tell: no likelihood, and texts cut by words.

        The samples are those of `requests`, in that order.
        """
        drawn = [sample for sample in samples if isinstance(sample.request, Generate)]
        seen = [sample for sample in samples if isinstance(sample.request, NextToken)]
        answers = Answers(drawn, seen)
        return self._measured(answers, self._sets(answers))[0]

    def settings(self) -> Sequence[Setting]:
        """Levels, sampling, stimuli, and how the measures are computed."""
        first = next(iter(self.params.levels.values()))
        varied = "top_p" if self.params.top_p else "temperature"
        fixed = "temperature 1" if not self.params.top_p else f"temperature {first.temperature:g}"
        return [
            *super().settings(),
            Setting(varied, ", ".join(self.params.levels)),
            Setting("sampling", f"{fixed if self.params.top_p else 'top_p 1'}, top_k {first.top_k}"),
            Setting("max_new_tokens", str(first.max_new_tokens)),
            Setting("prompts", str(len(self.params.all_prompts))),
            Setting("contexts", str(len(self.params.all_contexts))),
            Setting("self-BLEU", f"sacrebleu {self_bleu_signature(self.params.samples)}"),
            Setting("Vendi kernel", "mean cosine of the counts of words and of word pairs"),
        ]

    @property
    def _diversity(self) -> tuple[Measure, ...]:
        return (*DIVERSITY, SEMANTIC) if self.params.encoder else DIVERSITY

    @property
    def _apart(self) -> list[str]:
        return [f"H{entropy}" for entropy in self.params.matched_entropy]

    @property
    def _ordered(self) -> tuple[Measure, ...]:
        """What may rise from level to level. Not duplicates: where answers differ, there are none at any level."""
        return tuple(measure for measure in self._diversity if not measure.events)

    def _pairs(self, measure: Measure) -> list[tuple[str, str]]:
        """Which levels are compared: neighbours for diversity, the ends for what is lost."""
        levels = list(self.params.levels)
        return neighbours(levels) if measure in self._diversity else [(levels[0], levels[-1])]

    def _contexts(self) -> Iterator[Request]:
        for context in self.params.all_contexts:
            yield NextToken(context, context, top=_TOP, full=True, factors={"level": "contexts"})

    def _draws(self, matched: Mapping[float, float]) -> Iterator[Request]:
        params = self.params
        sampled = {**params.levels, **params.matched(matched)}
        for domain, prompts in params.prompts.items():
            for prompt in prompts:
                for level, sampling in {**sampled, GREEDY: params.greedy}.items():
                    for sample in range(params.determinism if level == GREEDY else params.samples):
                        yield Generate(
                            prompt=prompt,
                            cluster=prompt,
                            sampling=sampling,
                            sample=sample,
                            stream=prompt,
                            chat=params.prompt == "chat",
                            factors={"domain": domain, "level": level},
                        )

    @property
    def _design(self) -> Design:
        params = self.params
        levels, apart = tuple(params.levels), tuple(self._apart)
        return Design(tuple(params.all_prompts), levels, apart, params.samples, params.length)

    def _sets(self, answers: Answers) -> AnswerSets:
        design = self._design
        return AnswerSets.of(
            answers.drawn,
            answers.tokens,
            design.levels,
            apart=design.apart,
            length=design.length,
            number=design.samples,
        )

    def _measured(self, answers: Answers, sets: AnswerSets) -> tuple[Measurement, Sequence[Sample]]:
        texts = list(dict.fromkeys(answer.text for found in sets.sets.values() for answer in found))
        folder = self.params.encoder_folder
        vectors = dict(zip(texts, encode(folder, texts), strict=True)) if folder else None
        found = measure_sets(answers, sets, self._design, self._diversity, vectors)
        found += measure_answers(answers, self._design)
        measured = {each.measure.name: each for each in found}
        estimates = self._estimates(answers, measured)
        measurement = Measurement(
            estimates,
            figures=tuple(self._figures(estimates, entropies.views(answers.seen))),
            tables=tuple(self._tables(estimates, measured, answers, sets)),
            scores=sample_scores(answers, sets),
            evidence=evidence(found, sets, answers, self._design),
        )
        # A distribution over the vocabulary is for the arithmetic, not for a reader.
        return measurement, [*answers.drawn, *map(_lean, answers.seen)]

    def _estimates(self, answers: Answers, measured: Mapping[str, Measured]) -> dict[str, Estimate]:
        found: dict[str, Estimate] = {}
        for each in measured.values():
            found |= level_estimates(each) | change_estimates(each, self._pairs(each.measure), seed=self.seed)
        found |= trend_estimates([measured[measure.name] for measure in self._ordered], seed=self.seed)
        found["determinism"] = determinism(answers.drawn, len(self.params.all_prompts))
        seen = entropies.views(answers.seen)
        found |= entropies.entropy_estimates(seen, self.params.levels, len(self.params.all_contexts))
        return found | entropies.matched_estimates(
            answers.matched, self.params.matched_entropy, len(seen), len(self.params.all_contexts)
        )

    def _figures(self, estimates: Mapping[str, Estimate], seen: Sequence[entropies.View]) -> Iterator[Figure]:
        levels, axis = self.params.levels, "top_p" if self.params.top_p else "temperature"
        yield level_curves((*self._diversity, *LOSS), list(levels), estimates, axis)
        if found := frontier(self._diversity, list(levels), self._apart, estimates):
            yield found
        if seen:
            yield entropies.rise_figure(seen, levels, axis)
            yield from entropies.top_figures(seen)

    def _tables(
        self,
        estimates: Mapping[str, Estimate],
        measured: Mapping[str, Measured],
        answers: Answers,
        sets: AnswerSets,
    ) -> Iterator[Table]:
        levels = [*self.params.levels, *self._apart]
        failed = {level: measured["empty"].asked - measured["empty"].count(level) for level in levels}
        left_out = len(self.params.all_prompts) - len(sets.lengths)
        yield answers_table([measured[measure.name] for measure in ANSWERS], failed, left_out)
        yield levels_table("Diversity by level", self._diversity, levels, estimates)
        yield levels_table("What is lost, by level", LOSS, levels, estimates)
        yield changes_table(estimates)
        if seen := entropies.views(answers.seen):
            matched = self.params.matched(answers.matched)
            yield entropies.entropy_table(seen, {**self.params.levels, **matched})


def _beside_suite(path: str, info: ValidationInfo) -> Path:
    return Path((info.context or {}).get("folder", Path())) / path


def _lean(sample: Sample) -> Sample:
    response = sample.response
    return replace(sample, response=replace(response, logprobs=())) if isinstance(response, NextTokens) else sample


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [Diversity]
