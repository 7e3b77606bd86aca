"""What a steering audit asks a model: every prompt under every condition, and what the answers cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from llmaudit.steering.design import NEUTRAL, PLACEBO, SIDES, Design
from llmaudit.steering.methods import METHODS, Method, Push
from llmaudit.steering.stimuli import Contrast, Instructions
from llmaudit.steering.words import Spelling
from llmaudit.types import Completion, Factor, Generate, Request, Sample, Sampling, Score

__all__ = ["condition_of", "cost_requests", "prompt_requests", "pushes_of", "text_of"]

#: Condition -> the method and what it is given; neutral has no method.
Pushes = Mapping[str, tuple[Method | None, Push]]


def condition_of(sample: Sample) -> str:
    """The condition that an answer was given under."""
    return str(sample.request.factors["condition"])


def text_of(sample: Sample) -> str | None:
    """The text of an answer; None where there is none."""
    return sample.response.text if isinstance(sample.response, Completion) else None


def pushes_of(
    design: Design,
    method: Method,
    spellings: Sequence[Spelling],
    contrast: Contrast | None,
    instructions: Instructions | None,
) -> Pushes:
    """Say how each condition of the design comes about, in the design's order."""
    found: dict[str, tuple[Method | None, Push]] = {NEUTRAL: (None, Push(NEUTRAL, 0.0))}
    for side in (*SIDES, PLACEBO):
        words = tuple(spelling.ids for spelling in spellings if spelling.side == side and spelling.ids)
        texts = contrast.of(side) if contrast else None
        told = instructions.of(side) if instructions else ""
        for level in design.levels:
            found[design.condition(side, level)] = (method, Push(side, level, words, texts, told))
        if design.instructed:
            found[design.instruction(side)] = (METHODS["instruction"], Push(side, 1.0, instruction=told))
    return {condition: found[condition] for condition in design.conditions}


def prompt_requests(
    prompts: Mapping[str, Sequence[str]], pushes: Pushes, base: Sampling, samples: int
) -> Iterator[Request]:
    """Ask every prompt (domain -> prompts) under every condition, `samples` times.

    All conditions of a prompt share its random stream: a push that changes nothing changes no answer.
    """
    for domain, texts in prompts.items():
        for prompt in texts:
            for condition, (method, push) in pushes.items():
                text, sampling = method.apply(prompt, base, push) if method else (prompt, base)
                factors: dict[str, Factor] = {"domain": domain, "condition": condition}
                factors |= {"side": push.side, "strength": push.strength}
                for sample in range(samples):
                    yield Generate(text, prompt, sampling, sample, stream=prompt, factors=factors)


def cost_requests(answers: Sequence[Sample]) -> Iterator[Request]:
    """Ask how likely every distinct answer is after its plain prompt, whatever steered it, but for empty answers."""
    pairs = ((sample.request.cluster, text) for sample in answers if (text := text_of(sample)) and text.strip())
    for number, (prompt, text) in enumerate(dict.fromkeys(pairs)):
        yield Score(prompt, text, cluster=prompt, factors={"answer": number})
