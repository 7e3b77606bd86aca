"""From logits to tokens: every row with its own temperature, nucleus, bias and random stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from llmaudit.engines.hf.noise import RowKey, exponential_race
from llmaudit.types import Sampling

__all__ = ["RowSampler", "restrict"]


@dataclass(frozen=True, slots=True)
class _Row:
    sampling: Sampling
    key: RowKey


class RowSampler:
    """Draws the next token of each row of a batch; rows differ in every setting."""

    def __init__(self, samplings: Sequence[Sampling], keys: Sequence[RowKey], device: torch.device) -> None:
        self._rows = [_Row(sampling, key) for sampling, key in zip(samplings, keys, strict=True)]
        self._device = device
        self._prepare()

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all rows but these."""
        self._rows = [self._rows[row] for row in rows]
        self._prepare()

    def extend(self, other: RowSampler) -> None:
        """Take over the rows of another sampler, behind this one's."""
        self._rows += other._rows
        self._prepare()

    def draw(self, logits: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """Return one token id per row, int64 (rows,).

        logits: (rows, vocabulary). steps: int32 (rows,), how many tokens each row has drawn before.
        """
        logits = logits.to(torch.float32) / self._temperatures[:, None]
        if self._bias_rows.numel():
            logits.index_put_((self._bias_rows, self._bias_tokens), self._bias_values, accumulate=True)
        if self._all_greedy:
            return logits.argmax(dim=1)
        greedy = logits.argmax(dim=1) if self._greedy.any() else None
        for row in self._restricted:
            sampling = self._rows[row].sampling
            logits[row] = restrict(logits[row], sampling.top_k, sampling.top_p)
        drawn = exponential_race(logits, self._keys, steps)
        return drawn if greedy is None else torch.where(self._greedy, greedy, drawn)

    def _prepare(self) -> None:
        device = self._device
        temperatures = [row.sampling.temperature for row in self._rows]
        bias = [(index, *pair) for index, row in enumerate(self._rows) for pair in row.sampling.logit_bias]
        self._greedy = torch.tensor([value == 0 for value in temperatures], device=device)
        self._all_greedy = all(value == 0 for value in temperatures)
        self._temperatures = torch.tensor([value or 1.0 for value in temperatures], device=device)
        self._keys = torch.tensor([row.key for row in self._rows], dtype=torch.int32, device=device).reshape(-1, 2)
        self._bias_rows = torch.tensor([index for index, _, _ in bias], dtype=torch.int64, device=device)
        self._bias_tokens = torch.tensor([token for _, token, _ in bias], dtype=torch.int64, device=device)
        # The logits are divided by the temperature first.
        scaled = [value / (temperatures[index] or 1.0) for index, _, value in bias]
        self._bias_values = torch.tensor(scaled, dtype=torch.float32, device=device)
        self._restricted = [
            index for index, row in enumerate(self._rows) if row.sampling.top_k or row.sampling.top_p < 1
        ]


def restrict(logits: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """Set to -inf what lies outside the `top_k` most likely tokens or the nucleus of mass `top_p`.

    logits: (vocabulary,). The nucleus is the smallest set of most likely tokens whose mass reaches `top_p` (Holtzman et
    al. 2020, "The curious case of neural text degeneration", section 3.1), taken after `top_k`. Ties are cut by token
    id, so that the result does not depend on the sort.
    """
    ordered, order = torch.sort(logits, descending=True, stable=True)
    if top_k:
        ordered = torch.where(torch.arange(ordered.shape[0], device=ordered.device) < top_k, ordered, -torch.inf)
    if top_p < 1:
        mass = torch.softmax(ordered, dim=0)
        ordered = torch.where(mass.cumsum(0) - mass < top_p, ordered, -torch.inf)
    return torch.full_like(logits, -torch.inf).scatter_(0, order, ordered)
