"""Kind steering: whether a model can be pushed towards a sentiment, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pytest
from pydantic import Field, ValidationInfo, field_validator, model_validator

from llmaudit.audit import Audit, AuditParams, CheckParams, Context, Measurement, Metric, Name, Setting, Table
from llmaudit.engines.base import Engine, Steerable
from llmaudit.errors import CapabilityError
from llmaudit.gaps import Cells
from llmaudit.open_prompts import OpenPrompts
from llmaudit.scorers.base import Scorer
from llmaudit.stats import design_problem
from llmaudit.steering.answers import log_perplexities, masks_of, numbers_of
from llmaudit.steering.design import NEUTRAL, PLACEBO, SIDES, Design, strength_name
from llmaudit.steering.estimates import Trial
from llmaudit.steering.exhibits import (
    conditions_table,
    effectiveness,
    effectiveness_table,
    evidence,
    figures,
    window_table,
)
from llmaudit.steering.lexicon import lexicon_table, overlap_estimates
from llmaudit.steering.methods import METHODS, Method
from llmaudit.steering.metrics import steering_metrics
from llmaudit.steering.requests import condition_of, cost_requests, prompt_requests, pushes_of, text_of
from llmaudit.steering.stimuli import Contrast, Instructions, MethodName, Spellings, Words
from llmaudit.steering.words import (
    Spelling,
    coverage_table,
    fragment_requests,
    fragment_table,
    read_spellings,
    spelling_requests,
)
from llmaudit.stimuli import SamplingParams, ScorerChoice, chosen_scorers
from llmaudit.types import Generate, Request, Sample, Score, Tokenize

__all__ = ["Steering"]

#: Metrics of which 0 is what a model has that nothing moves.
_MOVED = ("slope", "raw_slope", "effect", "raw_effect", "effect_over_placebo", "instruction_effect")
#: Metrics that need an order of strengths: neutral and two more.
_MIN_DOSES = 3


class Steering(Audit["Steering.Params"]):
    """Can the model be steered towards a sentiment, further than by the words themselves, and what does it cost?

    Prompts x sides x strengths x samples, with a placebo of the same size; each side is the other's wrong-sign control.
    The prompt is the unit: answers are scored, averaged per prompt and condition, and compared with the prompt's
    neutral answers. All conditions of a prompt share their random numbers, so that a push that changes nothing changes
    no answer.
    """

    kind = "steering"
    needs = frozenset({Generate, Score, Tokenize})
    limitations: ClassVar[tuple[str, ...]] = (
        "Masking takes out the listed words as they stand, and not their inflections, synonyms or the words that"
        " commonly follow them: part of a masked effect may still be vocabulary.",
        "A list that shares words with the scorer's lexicon makes the raw effect a tautology; the overlap is shown.",
        "A trend assumes order only: a curve that rises and falls again can still have one, hence the usable window.",
        "Effects of steering vary strongly between prompts, and some go the wrong way (Tan et al. 2024; arXiv"
        " 2505.22637): the mean stands for prompts like these only.",
        "Strong steering makes text degenerate (arXiv 2505.24859). Log-perplexity under the model itself misses that"
        " where the model likes repetition: repeated 4-grams and length stand beside it.",
        "A bias in nats, a length of a direction and an instruction have no common unit: strengths of different methods"
        " cannot be compared, only their effects at a cost.",
        "Automatic scorers measure a proxy. English prompts and words, which one author chose.",
    )

    class Params(AuditParams):
        """The parameters of a steering audit."""

        kind: Literal["steering"]
        prompts: OpenPrompts
        """Texts to be continued, as a list or as lists by domain."""
        words: Words
        """The three lists: what is boosted by the methods that go by words, masked, and counted."""
        instructions: Instructions | None = None
        """Plain instructions, put before the prompt: what a user would try first. Where given, they are compared."""
        contrast: Contrast | None = None
        """Pairs of texts for the method activation."""
        method: MethodName = "words"
        """How the model is steered."""
        strengths: list[Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(
            default=[0, 1, 2, 3, 5], min_length=1
        )
        """In the method's unit; 0, which is neutral, is added where it is missing."""
        at: float | None = None
        """The strength at which cost, leakage and effect are judged; the middle one above 0 where left out."""
        samples: int = Field(default=4, ge=1)
        """Completions per prompt and condition."""
        sampling: SamplingParams = SamplingParams()
        scorer: ScorerChoice = "sentiment"
        """What is measured in each answer; the positive side should raise it."""
        mask: bool = True
        """Whether the words of a side's list are masked before an answer is scored."""
        spellings: Spellings = "all"
        """Which forms of a word are boosted: `all`, or only those `after_space`; each capitalised too."""

        @field_validator("strengths")
        @classmethod
        def _doses(cls, values: list[float], info: ValidationInfo) -> list[float]:
            method = METHODS.get(info.data.get("method", ""))
            if method and not method.graded:
                raise ValueError(f"the method {method.name} has no strengths: leave the key out")
            names = [strength_name(value) for value in values]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"the strength {twice} stands here twice")
            if not any(values):
                raise ValueError("needs a strength above 0")
            return values

        @field_validator("at")
        @classmethod
        def _among(cls, value: float | None, info: ValidationInfo) -> float | None:
            method, strengths = METHODS.get(info.data.get("method", "")), info.data.get("strengths")
            if value is None or method is None or strengths is None:
                return value
            levels = [level for level in sorted(strengths) if level] if method.graded else [1.0]
            if value not in levels:
                known = ", ".join(map(strength_name, levels))
                raise ValueError(f"{strength_name(value)} is not among the strengths above 0 ({known})")
            return value

        @field_validator("checks")
        @classmethod
        def _demanding(cls, checks: dict[Name, CheckParams]) -> dict[Name, CheckParams]:
            for name, check in checks.items():
                if name.partition(".")[0] in _MOVED and check.min is not None and check.min <= 0:
                    raise ValueError(
                        f"{name}: a min of {check.min:g} would pass a model that nothing moves; say how much is enough"
                    )
            return checks

        @model_validator(mode="after")
        def _sampled(self) -> Steering.Params:
            if self.sampling.temperature == 0 and self.samples > 1:
                raise ValueError("temperature 0 gives the same answer every time: samples must be 1")
            return self

        @property
        def scorers(self) -> list[ScorerChoice]:
            """The scorers that a report tells of."""
            return [self.scorer]

        @property
        def all_prompts(self) -> list[str]:
            """The prompts of all domains."""
            return [prompt for domain in self.prompts.values() for prompt in domain]

        @property
        def design(self) -> Design:
            """The conditions that these parameters give."""
            method = METHODS[self.method]
            levels = tuple(sorted(filter(None, self.strengths))) if method.graded else (1.0,)
            at = levels[(len(levels) - 1) // 2] if self.at is None else self.at
            return Design(levels, at, self.instructions is not None and method.requires != "instructions")

    def __init__(self, params: Steering.Params, *, scorers: Mapping[str, Scorer], seed: int = 0) -> None:
        super().__init__(params, scorers=scorers, seed=seed)
        (self._scorer,) = chosen_scorers(params.scorers, scorers).values()

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Trend, slopes, effects, leakage and cost, per side and strength."""
        return steering_metrics(self.params.design, self._scorer.name, self._scorer.unit)

    def requests(self) -> Iterator[Request]:
        """What is asked first: how the tokenizer cuts the words. The prompts follow, steered by those tokens."""
        if self._method.requires == "words":
            yield from spelling_requests(self.params.words, self.params.spellings)

    def problems(self) -> Mapping[str, str]:
        """Too few prompts decide nothing, and two strengths are no trend."""
        judged = [name for name, metric in self.metrics.items() if not metric.deterministic]
        if problem := design_problem(len(self.params.all_prompts)):
            return dict.fromkeys(judged, problem.replace("add templates", "add prompts"))
        doses = len(self.params.design.doses)
        problem = f"design: {doses} strengths, neutral's 0 included, and a trend needs {_MIN_DOSES}"
        trends = [name for name in judged if name.partition(".")[0] == "trend"]
        return dict.fromkeys(trends, problem) if doses < _MIN_DOSES else {}

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        """Ask how the words are cut, for the answers, for what they cost, and how their own words are cut.

        Raises CapabilityError where the engine cannot steer by this method, AuditError where its tokenizer cannot make
        a word.
        """
        self._require(context.engine)
        spellings = read_spellings(context.answer(self.requests()))
        answers = context.answer(self._conditions(spellings))
        costs = log_perplexities(context.answer(cost_requests(answers)))
        neutral = [text for sample in answers if (text := text_of(sample)) and condition_of(sample) == NEUTRAL]
        cut = context.answer(fragment_requests(neutral)) if spellings else []
        tables = self._word_tables(spellings, cut, neutral) if spellings else []
        return self._measured(answers, costs, tables), answers

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Measure what the answers alone tell; log-perplexity takes a second question to the model."""
        return self._measured(samples, {}, [])

    def settings(self) -> Sequence[Setting]:
        """Method, strengths, sampling and counts of stimuli."""
        params = self.params
        sampling = params.sampling.model_dump(exclude_defaults=False)
        found = [
            *super().settings(),
            Setting("what the method does", self._method.description),
            Setting("strengths", ", ".join(map(strength_name, params.design.doses))),
            Setting("judged at strength", strength_name(params.design.at)),
            *(Setting(name, str(value)) for name, value in sampling.items()),
            Setting("prompts", str(len(params.all_prompts))),
            *(Setting(f"{side} words", str(len(listed))) for side, listed in params.words.lists().items()),
        ]
        if params.instructions:
            found += [Setting(f"{side} instruction", params.instructions.of(side)) for side in (*SIDES, PLACEBO)]
        if params.contrast:
            found += [Setting("pairs of texts", str(len(params.contrast.toward)))]
            found += [Setting("layer", str(params.contrast.layer))]
        return [setting for setting in found if setting.name != "at"]

    @property
    def _method(self) -> Method:
        return METHODS[self.params.method]

    def _require(self, engine: Engine) -> None:
        needed = self._method.needs
        if needed and needed not in (engine.steering if isinstance(engine, Steerable) else frozenset()):
            raise CapabilityError(
                f"the engine {engine.info.engine} cannot steer by {needed}, which the method {self._method.name} needs"
            )

    def _conditions(self, spellings: Sequence[Spelling]) -> Iterator[Request]:
        """Every prompt under every condition."""
        params = self.params
        pushes = pushes_of(params.design, self._method, spellings, params.contrast, params.instructions)
        return prompt_requests(params.prompts, pushes, params.sampling.sampling(), params.samples)

    def _measured(
        self, samples: Sequence[Sample], costs: Mapping[tuple[str, str], float], word_tables: Sequence[Table]
    ) -> Measurement:
        params, scorer = self.params, self._scorer
        masks = masks_of(params.words)
        numbers = numbers_of(samples, scorer, masks, costs, mask=params.mask)
        clusters = [sample.request.cluster for sample in samples]
        cells = Cells.of(clusters, [condition_of(sample) for sample in samples], params.design.conditions)
        trial = Trial(params.design, cells, numbers, self.metrics, self.seed)
        estimates = trial.estimates() | overlap_estimates(params.words, scorer, self.metrics)
        margin = params.checks["cost"].max if "cost" in params.checks else None
        parts, effective = effectiveness(estimates, params.checks, trend=len(params.design.doses) >= _MIN_DOSES)
        return Measurement(
            estimates=estimates,
            figures=tuple(figures(trial, scorer.name, scorer.unit, margin)),
            tables=(
                effectiveness_table(parts, effective),
                conditions_table(trial),
                window_table(trial, estimates, margin),
                lexicon_table(params.words, scorer, masks),
                *word_tables,
            ),
            scores={
                scorer.name: _listed(numbers.raw),
                f"{scorer.name}_masked": _listed(self._own(trial, samples)),
                "log_perplexity": _listed(numbers.log_perplexity),
            },
            evidence=evidence(trial, estimates, samples),
        )

    def _own(self, trial: Trial, samples: Sequence[Sample]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The score of every answer with the words of its own side masked; of a neutral one, with none."""
        masked = trial.numbers.masked
        sides = [str(sample.request.factors["side"]) for sample in samples]
        return np.array([masked.get(side, trial.numbers.raw)[place] for place, side in enumerate(sides)])

    def _word_tables(self, spellings: Sequence[Spelling], cut: Sequence[Sample], neutral: Sequence[str]) -> list[Table]:
        every = self.params.method == "tokens"
        return [fragment_table(spellings, cut, neutral, every_token=every), coverage_table(spellings)]


def _listed(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(value) else value for value in values.tolist())


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [Steering]
