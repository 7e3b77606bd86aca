"""The decode loop: one prefill per distinct prompt, rows that leave when finished and are replaced by waiting ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import torch

from llmaudit.engines.hf.cache import KVRows, new_cache
from llmaudit.engines.hf.noise import RowKey
from llmaudit.engines.hf.sampling import RowSampler
from llmaudit.types import Sampling

__all__ = ["Decoded", "Decoder", "Job"]

#: How many prompt tokens one prefill takes at most, padding included: bounds the memory of its activations.
_PREFILL_TOKENS = 4096


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
    finish: Literal["stop", "length"]
    drawn: int
    """Number of tokens drawn, the end token included."""


@dataclass(slots=True)
class _Row:
    job: Job
    tokens: list[int] = field(default_factory=list)


class Decoder:
    """Decodes jobs in a batch of at most `rows` sequences."""

    def __init__(
        self,
        model: Any,
        *,
        ends: frozenset[int],
        tokenizer: Any,
        rows: int,
        device: torch.device,
        context: int | None = None,
    ) -> None:
        self._model = model
        self._last_position = (1 << 62) if context is None else context - 1
        self._ends = ends
        self._tokenizer = tokenizer
        self._capacity = rows
        self._device = device

    def run(self, jobs: Sequence[Job]) -> Iterator[list[Decoded]]:
        """Decode all jobs; yields them as they finish, a few at a time.

        Jobs are taken in order of prompt length, so that a prefill has little padding, and jobs of one prompt stand
        together, so that it is prefilled once for all of them that fit the batch.
        """
        waiting = iter(sorted(jobs, key=lambda job: (len(job.prompt), job.prompt, job.index)))
        batch: _Batch | None = None
        while True:
            free = self._capacity - (len(batch.rows) if batch else 0)
            arriving = list(islice(waiting, free))
            for group in _prefill_groups(arriving):
                joined = self._prefill(group)
                batch = joined if batch is None else batch.join(joined)
            if batch is None:
                return
            batch, finished = self._decode_until_room(batch, more=len(arriving) == free and free > 0)
            yield finished

    def _decode_until_room(self, batch: _Batch, *, more: bool) -> tuple[_Batch | None, list[Decoded]]:
        """Step until a quarter of the batch has finished: moving the cache costs about as much as a few steps."""
        done: list[Decoded] = []
        enough = max(1, (self._capacity if more else len(batch.rows)) // 4)
        leaving: set[int] = set()
        while len(leaving) < min(enough, len(batch.rows)):
            self._step(batch)
            for number, row in enumerate(batch.rows):
                if number not in leaving and (finish := self._finish(row)):
                    leaving.add(number)
                    ended = row.tokens[-1] in self._ends
                    text = row.tokens[:-1] if ended else row.tokens
                    done.append(Decoded(row.job.index, tuple(text), finish, len(row.tokens)))
        staying = [number for number in range(len(batch.rows)) if number not in leaving]
        if not staying:
            return None, done
        batch.keep(staying)
        return batch, done

    @torch.inference_mode()
    def _prefill(self, jobs: Sequence[Job]) -> _Batch:
        prompts = sorted({job.prompt for job in jobs}, key=lambda prompt: (len(prompt), prompt))
        length = max(map(len, prompts))
        ids = torch.zeros(len(prompts), length, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for number, prompt in enumerate(prompts):
            ids[number, length - len(prompt) :] = torch.tensor(prompt)
            mask[number, length - len(prompt) :] = 1
        ids, mask = ids.to(self._device), mask.to(self._device)
        out = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(dim=1) - 1).clamp_(min=0),
            past_key_values=new_cache(),
            use_cache=True,
            logits_to_keep=1,
        )
        place = {prompt: number for number, prompt in enumerate(prompts)}
        order = [place[job.prompt] for job in jobs]
        kv = KVRows(out.past_key_values, mask)
        kv.take(order)
        logits = out.logits[:, -1].index_select(0, torch.tensor(order, device=self._device))
        sampler = RowSampler([job.sampling for job in jobs], [job.key for job in jobs], self._device)
        return _Batch([_Row(job) for job in jobs], kv, sampler, logits)

    @torch.inference_mode()
    def _step(self, batch: _Batch) -> None:
        """Draw one token per row from the logits at hand and compute the next ones."""
        steps = torch.tensor([len(row.tokens) for row in batch.rows], dtype=torch.int32, device=self._device)
        tokens = batch.sampler.draw(batch.logits, steps)
        for row, token in zip(batch.rows, tokens.tolist(), strict=True):
            row.tokens.append(token)
        batch.kv.grow()
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
            text = self._tokenizer.decode(row.tokens, skip_special_tokens=True)
            if any(stop in text for stop in stops):
                return "stop"
        return "length" if len(row.tokens) >= row.job.sampling.max_new_tokens else None


@dataclass(slots=True)
class _Batch:
    rows: list[_Row]
    kv: KVRows
    sampler: RowSampler
    logits: torch.Tensor
    """(rows, vocabulary): what the next token is drawn from."""

    def keep(self, numbers: Sequence[int]) -> None:
        self.rows = [self.rows[number] for number in numbers]
        self.kv.take(numbers)
        self.sampler.keep(numbers)
        self.logits = self.logits[list(numbers)]

    def join(self, other: _Batch) -> _Batch:
        self.rows += other.rows
        self.kv.join(other.kv)
        self.sampler.extend(other.sampler)
        self.logits = torch.cat([self.logits, other.logits])
        return self


def _prefill_groups(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Cut jobs, sorted by prompt, into groups whose distinct prompts fit the prefill budget."""
    group: list[Job] = []
    distinct: set[tuple[int, ...]] = set()
    for job in jobs:
        longest = max(len(job.prompt), *(map(len, distinct))) if distinct else len(job.prompt)
        if group and job.prompt not in distinct and longest * (len(distinct) + 1) > _PREFILL_TOKENS:
            yield group
            group, distinct = [], set()
        group.append(job)
        distinct.add(job.prompt)
    if group:
        yield group
