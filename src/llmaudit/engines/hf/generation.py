"""The decode loop: rows that leave when finished and are replaced by waiting ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import torch

from llmaudit.engines.hf.cache import KVRows
from llmaudit.engines.hf.directions import Directions, RowDirections
from llmaudit.engines.hf.encoding import continuation_text
from llmaudit.engines.hf.memory import Budget, attempt
from llmaudit.engines.hf.noise import RowKey
from llmaudit.engines.hf.prefill import Prefilled, prefill, prompt_groups
from llmaudit.engines.hf.sampling import RowSampler
from llmaudit.types import Sampling

__all__ = ["Decoded", "Decoder", "Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """One completion to make, tokenized."""

    index: int
    prompt: tuple[int, ...]
    """At least one token id."""
    sampling: Sampling
    key: RowKey


@dataclass(frozen=True, slots=True)
class Decoded:
    """One completion made."""

    index: int
    tokens: tuple[int, ...]
    """Ids drawn, without the end token."""
    finish: Literal["stop", "length", "memory"]
    """`memory` where not even one row fits the device."""
    drawn: int
    """Number of tokens drawn, the end token included."""


@dataclass(slots=True)
class _Row:
    job: Job
    tokens: list[int] = field(default_factory=list)
    finished: bool = False


@dataclass(slots=True)
class _Batch:
    rows: list[_Row]
    kv: KVRows
    sampler: RowSampler
    directions: RowDirections
    logits: torch.Tensor
    """(rows, vocabulary): what the next token is drawn from."""

    def keep(self, numbers: Sequence[int]) -> None:
        self.kv.take(numbers)
        self.sampler.keep(numbers)
        self.directions.keep(numbers)
        self.logits = self.logits[list(numbers)]
        self.rows = [self.rows[number] for number in numbers]

    def join(self, other: _Batch) -> None:
        self.kv.join(other.kv)
        self.sampler.extend(other.sampler)
        self.directions.extend(other.directions)
        self.logits = torch.cat([self.logits, other.logits])
        self.rows += other.rows


class Decoder:
    """Decodes jobs in a batch of at most `rows` sequences."""

    def __init__(
        self,
        model: Any,
        *,
        ends: frozenset[int],
        tokenizer: Any,
        rows: Budget,
        device: torch.device,
        context: int | None = None,
        directions: Directions | None = None,
    ) -> None:
        self._model = model
        self._last_position = (1 << 62) if context is None else context - 1
        self._ends = ends
        self._tokenizer = tokenizer
        self._rows = rows
        self._directions = directions
        self._device = device
        self._waiting: deque[Job] = deque()
        self._batch: _Batch | None = None
        self._carried: Prefilled | None = None
        """The prompt whose completions did not all fit the batch."""
        self._done: list[Decoded] = []

    def run(self, jobs: Sequence[Job]) -> Iterator[list[Decoded]]:
        """Decode all jobs; yields them as they finish, a few at a time.

        Jobs are taken in order of prompt length, so that a prefill has little padding, and jobs of one prompt stand
        together, so that it is read once. Where the memory runs out, the rows of the batch begin again in one of half
        the size: a draw depends on its row's key alone, so that they come out the same.
        """
        self._waiting = deque(sorted(jobs, key=_order))
        while self._waiting or self._batch is not None:
            if finished := self._advance():
                yield finished

    def _advance(self) -> list[Decoded]:
        """Fill the batch and step until there is room again; returns what has finished."""
        self._done = []
        if attempt(self._fill_and_step):
            self._rows.worked()
            return self._done
        lost = [row.job for row in self._batch.rows if not row.finished] if self._batch is not None else []
        self._batch = self._carried = None
        if self._rows.halve():
            self._waiting.extendleft(sorted(lost, key=_order, reverse=True))
        else:
            self._done += [Decoded(job.index, (), "memory", 0) for job in lost or [self._waiting.popleft()]]
            self._rows.restore()
        return self._done

    def _fill_and_step(self) -> bool:
        self._admit()
        self._decode_until_room()
        return True

    def _admit(self) -> None:
        free = self._rows.value - (len(self._batch.rows) if self._batch is not None else 0)
        arriving = [job.prompt for job in islice(self._waiting, free)]
        known = sum(prompt in self._carried.prompts for prompt in arriving) if self._carried is not None else 0
        if self._carried is not None and known:
            self._enter(self._carried, known)
        for group in prompt_groups(arriving[known:]):
            prefilled = prefill(self._model, list(dict.fromkeys(group)), self._device)
            self._enter(prefilled, len(group))
            more = bool(self._waiting) and self._waiting[0].prompt == group[-1]
            self._carried = prefilled.only(group[-1]) if more else None

    def _enter(self, prefilled: Prefilled, count: int) -> None:
        """Let the next `count` waiting jobs start from prompts that have been read."""
        jobs = list(islice(self._waiting, count))
        kv, logits = prefilled.rows([job.prompt for job in jobs])
        sampler = RowSampler([job.sampling for job in jobs], [job.key for job in jobs], self._device)
        directions = RowDirections([job.sampling.direction for job in jobs], self._directions)
        batch = _Batch([_Row(job) for job in jobs], kv, sampler, directions, logits)
        if self._batch is None:
            self._batch = batch
        else:
            self._batch.join(batch)
        for _ in jobs:
            self._waiting.popleft()

    def _decode_until_room(self) -> None:
        """Step until a quarter of the batch has finished: moving the cache costs about as much as a few steps."""
        batch = self._batch
        assert batch is not None  # noqa: S101 - _admit has just filled it
        enough = max(1, len(batch.rows) // 4)
        while True:
            tokens = self._draw(batch)
            for row in batch.rows:
                if not row.finished and (finish := self._finish(row)):
                    row.finished = True
                    text = row.tokens[:-1] if row.tokens[-1] in self._ends else row.tokens
                    self._done.append(Decoded(row.job.index, tuple(text), finish, len(row.tokens)))
            if len(self._done) >= enough:
                break
            self._feed(batch, tokens)
        staying = [number for number, row in enumerate(batch.rows) if not row.finished]
        if not staying:
            self._batch = None
            return
        batch.keep(staying)
        self._feed(batch, tokens[staying])

    def _draw(self, batch: _Batch) -> torch.Tensor:
        """Draw one token per row from the logits at hand; int64, (rows,)."""
        steps = torch.tensor([len(row.tokens) for row in batch.rows], dtype=torch.int32, device=self._device)
        tokens = batch.sampler.draw(batch.logits, steps, [row.tokens for row in batch.rows])
        for row, token in zip(batch.rows, tokens.tolist(), strict=True):
            row.tokens.append(token)
        return tokens

    @torch.inference_mode()
    def _feed(self, batch: _Batch, tokens: torch.Tensor) -> None:
        """Have the model read the tokens drawn: the logits of the next ones."""
        batch.kv.grow()
        with batch.directions.applied():
            out = self._model(
                input_ids=tokens[:, None],
                attention_mask=batch.kv.mask,
                # A row that has finished and waits for others to leave with may have run past the context.
                position_ids=(batch.kv.mask.sum(dim=1, keepdim=True) - 1).clamp(max=self._last_position),
                past_key_values=batch.kv.cache,
                use_cache=True,
                logits_to_keep=1,
            )
        batch.logits = out.logits[:, -1]

    def _finish(self, row: _Row) -> Literal["stop", "length"] | None:
        if row.tokens[-1] in self._ends:
            return "stop"
        stops = row.job.sampling.stop
        if stops:
            text = continuation_text(self._tokenizer, row.job.prompt, row.tokens)
            if any(stop in text for stop in stops):
                return "stop"
        return "length" if len(row.tokens) >= row.job.sampling.max_new_tokens else None


def _order(job: Job) -> tuple[int, tuple[int, ...], int]:
    return len(job.prompt), job.prompt, job.index
