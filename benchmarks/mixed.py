"""Many settings at once: llmaudit in one call, against one call of `generate` per setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from benchmarks.contest import Contender, race
from benchmarks.figures import Outcome, ratio
from benchmarks.floors import generation_floor
from benchmarks.generate import ROWS, TEMPERATURE, complete, endless
from benchmarks.machine import measure_machine, size_of
from benchmarks.models import Models, Peer
from benchmarks.peers import generation
from benchmarks.prompts import WORDS, prompts
from benchmarks.settings import Settings
from llmaudit.types import Generate, Request

__all__ = ["mixed"]

_TEMPERATURES = (0.2, 0.5, 0.7, 0.9, 1.1, 1.3)
_STRENGTHS = (1.0, 2.0, 4.0)
_WORDS = 40
_TOKENS = 40
#: A quarter, not a tenth: of four tokens, the prompts would be most of the work.
_QUICK_TOKENS = 10


@dataclass(frozen=True, slots=True)
class _Setting:
    temperature: float
    strength: float
    """Nats added to the logits of the favoured words."""


_SETTINGS = (
    *(_Setting(temperature, 0.0) for temperature in _TEMPERATURES),
    *(_Setting(TEMPERATURE, strength) for strength in _STRENGTHS),
)


class _Favour(LogitsProcessor):
    """Adds a vector to the logits of every row."""

    def __init__(self, bias: torch.Tensor) -> None:
        self._bias = bias

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 - the protocol's
        return scores + self._bias


def mixed(models: Models, settings: Settings) -> Outcome:
    """Run the job."""
    tokens = _QUICK_TOKENS if settings.quick else _TOKENS
    chosen = prompts()[::8]
    words = _word_tokens(models.peer)
    requests = _requests(models.peer, chosen, words, tokens)

    def separately(chosen_settings: Sequence[_Setting]) -> int:
        return sum(_one_call(models.peer, chosen, words, setting, tokens) for setting in chosen_settings)

    contenders = [
        Contender(
            "one call of llmaudit",
            lambda: complete(models.engine, requests[:8], tokens),
            lambda _: complete(models.engine, requests, tokens),
        ),
        Contender("one generate per setting", lambda: separately(_SETTINGS[-1:]), lambda _: separately(_SETTINGS)),
    ]
    before = measure_machine(models)
    results = race("mixed", contenders, settings.repetitions)
    ours, theirs = results.values()
    figures = {"mixed_settings_vs_separate": ratio(ours, theirs)}
    if ours.failure is not None:
        return Outcome(figures)
    machine = before.or_better(measure_machine(models))
    lengths = [len(models.peer.tokenizer(prompt)["input_ids"]) for prompt in chosen]
    context = sum(lengths) / len(lengths) + tokens / 2
    floor = generation_floor(machine, size_of(models.peer.model), ROWS, context)
    return Outcome(figures, [machine.line(models.dtype), floor.line("mixed", 1 / (ours.rate * tokens))])


def _word_tokens(peer: Peer) -> list[int]:
    """The tokens of words that this tokenizer knows whole, with the space before them."""
    ids = [peer.tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in WORDS]
    return [word[0] for word in ids if len(word) == 1][:_WORDS]


def _requests(peer: Peer, chosen: Sequence[str], words: Sequence[int], tokens: int) -> list[Request]:
    plain = endless(peer, tokens=tokens)
    samplings = [
        replace(
            plain,
            temperature=setting.temperature,
            logit_bias=(*plain.logit_bias, *((word, setting.strength) for word in words if setting.strength)),
        )
        for setting in _SETTINGS
    ]
    return [Generate(prompt, "", sampling) for sampling in samplings for prompt in chosen]


def _one_call(peer: Peer, chosen: Sequence[str], words: Sequence[int], setting: _Setting, tokens: int) -> int:
    options: dict[str, Any] = {}
    if setting.strength:
        rows = peer.model.get_output_embeddings().weight.shape[0]
        bias = torch.zeros(rows, device=peer.model.device)
        bias[list(words)] = setting.strength
        options["logits_processor"] = LogitsProcessorList([_Favour(bias)])
    return generation.batched(peer, chosen, rows=len(chosen), tokens=tokens, temperature=setting.temperature, **options)
