"""Clocks around a greedy prefill and decode loop: the model as transformers runs it, and nothing of our own."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from llmaudit.engines.hf.cache import cache_bytes
from llmaudit.engines.hf.devices import Device
from llmaudit.engines.launches import Repetition, Timed, Workload

__all__ = ["Prompts", "Stopwatch", "cache_sizes", "time_workload"]

#: Two runs of the warm-up agree where their medians differ by less than this share.
_AGREE = 0.05
#: What is read and continued; ordinary English, since experts are chosen and repetitions found by what a text says.
_TEXT = """\
The harbour had been built for a trade that no longer existed. Where coal barges once waited three deep, a handful of
small boats now rocked against the wall, and the cranes above them had not moved in twenty years. In the mornings the
gulls took the quay for themselves; by noon the first visitors came down from the station, asking where the museum was
and whether the ferry still ran. It did, twice a day in summer and once in winter, carrying letters, bread, a few
schoolchildren and whatever the islanders had ordered from the mainland. The captain, who had learned the channel from
her father, kept a notebook of depths that disagreed with every printed chart. Sand moves, she used to say, and paper
does not. When the council decided to dredge the entrance, she brought the notebook to the meeting and read from it for
half an hour. Nobody interrupted. The engineers asked for a copy, compared it with their own soundings, and found that
the error of the official map was more than two metres in places where a keel would notice. The plan was changed, the
budget was not, and the work began in March with a single ship that had to stop whenever the wind turned north.
"""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Texts of an exact number of tokens, cut from one passage that repeats itself."""

    tokenizer: Any
    vocabulary: int
    """Rows of the embedding: a token beyond them cannot be read."""
    seed: int = 0

    def ids(self, batch: int, length: int) -> torch.Tensor:
        """Return token ids, shape (batch, length); every row starts at a place of its own."""
        own = [
            token for token in self.tokenizer(_TEXT, add_special_tokens=False)["input_ids"] if token < self.vocabulary
        ]
        rng = random.Random(f"{self.seed}/{batch}/{length}")  # noqa: S311 - texts of an experiment
        starts = [rng.randrange(len(own)) for _ in range(batch)]
        return torch.tensor([[own[(start + place) % len(own)] for place in range(length)] for start in starts])

    def written(self, rows: torch.Tensor) -> tuple[int, int]:
        """Return (characters, bytes in UTF-8) of rows of token ids, special tokens left out."""
        texts = [str(self.tokenizer.decode(row, skip_special_tokens=True)) for row in rows.tolist()]
        return sum(map(len, texts)), sum(len(text.encode()) for text in texts)


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """A model, its device, and a clock in seconds that never goes back."""

    model: Any
    place: torch.device
    device: Device
    clock: Callable[[], float] = time.perf_counter

    @torch.inference_mode()
    def run(self, ids: torch.Tensor, new_tokens: int) -> tuple[Repetition, torch.Tensor]:
        """Read a batch, shape (batch, length), and write so many tokens to each row, whatever they are.

        Returns the times and what was written, shape (batch, new tokens). The loop is what `generate` does for greedy
        decoding, without its list of stopping rules: a text does not end before its time.
        """
        ids = ids.to(self.place)
        mask = torch.ones_like(ids)
        marks = [self._now()]
        out = self.model(input_ids=ids, attention_mask=mask, use_cache=True, logits_to_keep=1)
        token = out.logits[:, -1].argmax(dim=-1, keepdim=True)
        marks.append(self._now())
        written = [token]
        for _ in range(new_tokens - 1):
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            out = self.model(
                input_ids=token,
                attention_mask=mask,
                past_key_values=out.past_key_values,
                use_cache=True,
                logits_to_keep=1,
            )
            token = out.logits[:, -1].argmax(dim=-1, keepdim=True)
            marks.append(self._now())
            written.append(token)
        tokens = torch.cat(written, dim=1)
        seconds = self._now() - marks[0]
        steps = tuple(after - before for before, after in pairwise(marks[1:]))
        return Repetition(marks[1] - marks[0], steps, seconds), tokens

    def _now(self) -> float:
        self.device.synchronise()
        return self.clock()


def time_workload(watch: Stopwatch, prompts: Prompts, workload: Workload, repetitions: int, warm_ups: int) -> Timed:
    """Run a workload until it is steady, at most `warm_ups` times, and then `repetitions` times with the clock.

    It is steady as soon as two runs in a row agree to 5 % in their time to the first token and in the median of their
    later steps; none is counted before two were thrown away.
    """
    ids = prompts.ids(workload.batch, workload.prompt_tokens)
    steady, warmed = False, 0
    last: Repetition | None = None
    while warmed < warm_ups and not steady:
        found, _ = watch.run(ids, workload.new_tokens)
        warmed += 1
        steady = last is not None and _agree(last, found)
        last = found
    before = watch.device.joules()
    timed, tokens = zip(*(watch.run(ids, workload.new_tokens) for _ in range(repetitions)), strict=True)
    after = watch.device.joules()
    characters, size = prompts.written(tokens[-1])
    return Timed(
        workload=workload,
        repetitions=timed,
        warm_ups=warmed,
        steady=steady,
        prompt_characters=prompts.written(ids)[0],
        characters=characters,
        bytes=size,
        energy=None if before is None or after is None else (after - before) / repetitions,
    )


def _agree(one: Repetition, other: Repetition) -> bool:
    pairs = [(one.ttft, other.ttft)]
    if one.steps:
        pairs.append((statistics.median(one.steps), statistics.median(other.steps)))
    return all(abs(first - second) <= _AGREE * second for first, second in pairs)


@torch.inference_mode()
def cache_sizes(watch: Stopwatch, prompts: Prompts, lengths: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Return (tokens, bytes of the key-value cache) of one text at these lengths; empty where there is no such cache.

    The cache is the one that transformers fills: one text is read on and on, the last token of each length alone, since
    only then does a layer with a window let go of what it no longer sees.
    """
    cache: Any = None
    found: list[tuple[int, int]] = []
    ids = prompts.ids(1, max(lengths, default=0)).to(watch.place)
    have = 0
    for length in sorted(set(lengths)):
        for piece in (ids[:, have : length - 1], ids[:, length - 1 : length]):
            if piece.shape[1]:
                asked = watch.model(piece, past_key_values=cache, use_cache=True, logits_to_keep=1)
                cache = asked.past_key_values
        have = length
        size = cache_bytes(cache)
        if size is None:
            return ()
        found.append((length, size))
    return tuple(found)
