"""What a model answered in a diversity audit, and what is measured of it per prompt and level."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from llmaudit.diversity.answer_sets import AnswerSets, usable
from llmaudit.diversity.levels import Measure, Measured
from llmaudit.diversity.measures import ANSWERS, LOSS, diversity_values, loss_values
from llmaudit.gaps import MAX_MISSING
from llmaudit.types import Completion, Estimate, Likelihood, Sample, Score, Tokenize, Tokens

__all__ = [
    "GREEDY",
    "Answers",
    "Design",
    "by_answer",
    "by_text",
    "determinism",
    "evidence",
    "measure_answers",
    "measure_sets",
    "sample_scores",
]

Array = NDArray[np.float64]

#: The level of the answers that should all be the same.
GREEDY = "greedy"
#: Prompts and answers of each that a metric shows.
_SHOWN_PROMPTS, _SHOWN_ANSWERS = 2, 3


@dataclass(frozen=True, slots=True)
class Design:
    """What is compared."""

    prompts: tuple[str, ...]
    levels: tuple[str, ...]
    """In rising order."""
    apart: tuple[str, ...]
    """Levels that are in no order with the others."""
    samples: int
    """Answers per prompt and level."""
    length: int
    """Tokens that answers are cut to."""

    def measured(
        self, measure: Measure, prompts: tuple[str, ...], values: Array, counts: Sequence[int], problem: str | None
    ) -> Measured:
        """Join a measure to its values, shape (prompts, levels + apart), and the number of answers per level."""
        asked = len(self.prompts) * self.samples
        return Measured(measure, prompts, self.levels, self.apart, values, tuple(counts), asked, problem)

    @property
    def columns(self) -> tuple[str, ...]:
        """All levels."""
        return (*self.levels, *self.apart)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the model said, phase by phase."""

    drawn: Sequence[Sample]
    """Completions at every level and greedy ones."""
    seen: Sequence[Sample]
    """Next-token distributions at the contexts."""
    matched: Mapping[float, float] = field(default_factory=dict)
    """Entropy in nats -> the temperature that gives it."""
    tokens: Mapping[str, Tokens] = field(default_factory=dict)
    """Text of an answer -> how it is cut."""
    likelihoods: Mapping[str, Mapping[str, Likelihood]] = field(default_factory=dict)
    """Prompt -> cut text -> its likelihood."""
    whole: Mapping[str, bool] = field(default_factory=dict)
    """Word -> whether the vocabulary holds it as one token."""
    vocabulary: int | None = None
    """Number of tokens of the vocabulary; None where the engine does not say."""

    def size(self, text: str) -> int:
        """Number of tokens of a text, or of words where that is not known."""
        return len(self.tokens[text].ids) if text in self.tokens else len(text.split())


def by_text(samples: Sequence[Sample]) -> dict[str, Tokens]:
    """Return text -> tokens of what could be tokenized."""
    return {
        sample.request.text: sample.response
        for sample in samples
        if isinstance(sample.request, Tokenize) and isinstance(sample.response, Tokens)
    }


def by_answer(samples: Sequence[Sample]) -> dict[str, dict[str, Likelihood]]:
    """Return prompt -> continuation -> likelihood of what could be scored; the prompt is the cluster."""
    found: dict[str, dict[str, Likelihood]] = {}
    for sample in samples:
        if isinstance(sample.request, Score) and isinstance(sample.response, Likelihood):
            found.setdefault(sample.request.cluster, {})[sample.request.continuation] = sample.response
    return found


def measure_sets(
    answers: Answers,
    sets: AnswerSets,
    design: Design,
    diversity: Sequence[Measure],
    vectors: Mapping[str, Array] | None,
) -> list[Measured]:
    """Measure every set: one value per prompt, level and measure of `diversity` and of LOSS."""
    measures = (*diversity, *LOSS)
    values = {measure.name: np.full((len(sets.prompts), len(design.columns)), np.nan) for measure in measures}
    for row, prompt in enumerate(sets.prompts):
        likelihoods = answers.likelihoods.get(prompt, {})
        for column, level in enumerate(design.columns):
            if found := sets.sets.get((prompt, level)):
                these = diversity_values(found, answers.vocabulary, vectors)
                these |= loss_values(found, prompt, likelihoods, answers.whole)
                for name, value in these.items():
                    values[name][row, column] = value
    counts = [len(sets.at(level)) for level in design.columns]
    problems = {} if answers.vocabulary else {"ead": "the engine does not say how many tokens its vocabulary has"}
    return [
        design.measured(measure, sets.prompts, values[measure.name], counts, problems.get(measure.name))
        for measure in measures
    ]


def measure_answers(answers: Answers, design: Design) -> list[Measured]:
    """Measure whether there is a text, and a long enough one, over all answers that there are: the measures ANSWERS.

    A prompt that lacks more than a fifth of its answers at a level has no value there.
    """
    cells = _events(answers, design)
    values = np.full((len(ANSWERS), len(design.prompts), len(design.columns)), np.nan)
    for row, prompt in enumerate(design.prompts):
        for column, level in enumerate(design.columns):
            cell = cells.get((prompt, level), [])
            if len(cell) >= (1 - MAX_MISSING) * design.samples:
                values[:, row, column] = np.mean([events for _, events in cell], axis=0)
    counts = [sum(len(cells.get((prompt, level), [])) for prompt in design.prompts) for level in design.columns]
    pairs = zip(ANSWERS, values, strict=True)
    return [design.measured(measure, design.prompts, table, counts, None) for measure, table in pairs]


def _events(answers: Answers, design: Design) -> dict[tuple[str, str], list[tuple[int, tuple[bool, bool]]]]:
    """(prompt, level) -> which sample each answer is, and which of ANSWERS happened to it."""
    cells: dict[tuple[str, str], list[tuple[int, tuple[bool, bool]]]] = {}
    for index, sample in enumerate(answers.drawn):
        if isinstance(sample.response, Completion):
            short = sample.response.finish == "stop" and answers.size(sample.response.text) < design.length
            place = sample.request.cluster, str(sample.request.factors["level"])
            cells.setdefault(place, []).append((index, (usable(sample) is None, short)))
    return cells


def determinism(drawn: Sequence[Sample], prompts: int) -> Estimate:
    """Share of prompts whose greedy answers are the same, of those that have all of them."""
    answers: dict[str, list[str | None]] = {}
    for sample in drawn:
        if sample.request.factors["level"] == GREEDY:
            text = sample.response.text if isinstance(sample.response, Completion) else None
            answers.setdefault(sample.request.cluster, []).append(text)
    same = {prompt: float(len(set(texts)) == 1) for prompt, texts in answers.items() if None not in texts}
    missing = prompts - len(same)
    return Estimate(
        "determinism",
        sum(same.values()) / len(same) if same else math.nan,
        None,
        "proportion",
        "higher",
        sum(len(answers[prompt]) for prompt in same),
        len(same),
        sum(text is None for texts in answers.values() for text in texts),
        deterministic=True,
        problem=f"{missing} of {prompts} prompts lack a greedy answer" if missing else None,
        cluster_values=same,
    )


def sample_scores(answers: Answers, sets: AnswerSets) -> dict[str, tuple[float | None, ...]]:
    """Log-perplexity and number of tokens of every answer that was compared, after the cut; None for other samples."""
    size = len(answers.drawn) + len(answers.seen)
    found: dict[str, list[float | None]] = {"log_perplexity": [None] * size, "tokens": [None] * size}
    for (prompt, _), each in sets.sets.items():
        for answer in each:
            likelihood = answers.likelihoods.get(prompt, {}).get(answer.text)
            if likelihood is not None and likelihood.tokens:
                found["log_perplexity"][answer.index] = -likelihood.logprob / likelihood.tokens
            found["tokens"][answer.index] = float(len(answer.ids) or len(answer.text.split()))
    return {name: tuple(values) for name, values in found.items()}


def evidence(
    measured: Sequence[Measured], sets: AnswerSets, answers: Answers, design: Design
) -> dict[str, tuple[int, ...]]:
    """Metric -> answers to the prompts that are worst there: the most collapsed sets, the most incoherent texts, the
    answers that are empty or short. A bare metric shows its worst level.
    """
    events, names = _events(answers, design), [measure.name for measure in ANSWERS]

    def shown(name: str, cell: tuple[str, str]) -> list[int]:
        if name in names:
            return [index for index, happened in events.get(cell, ()) if happened[names.index(name)]]
        return [answer.index for answer in sets.sets.get(cell, ())]

    found: dict[str, tuple[int, ...]] = {}
    for each in measured:
        name, sign = each.measure.name, 1 if each.measure.better == "higher" else -1
        means: dict[str, float] = {}
        for level in (*each.levels, *each.apart):
            column = dict(zip(each.prompts, (sign * each.column(level)).tolist(), strict=True))
            known = sorted((prompt for prompt in column if math.isfinite(column[prompt])), key=column.__getitem__)
            indices = (shown(name, (prompt, level))[:_SHOWN_ANSWERS] for prompt in known[:_SHOWN_PROMPTS])
            found[f"{name}.{level}"] = tuple(chain.from_iterable(indices))
            if known and level in each.levels:
                means[level] = sum(column[prompt] for prompt in known) / len(known)
        if means:
            found[name] = found[f"{name}.{min(means, key=means.__getitem__)}"]
    return found
