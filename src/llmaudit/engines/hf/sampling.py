"""From logits to tokens: every row with its own temperature, nucleus, bias and random stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from llmaudit.engines.hf.biases import TokenBias
from llmaudit.engines.hf.noise import RowKey, exponential_race
from llmaudit.types import Sampling

__all__ = ["RowSampler", "restrict"]


@dataclass(frozen=True, slots=True)
class _Row:
    sampling: Sampling
    key: RowKey
    bias: TokenBias


class RowSampler:
    """Draws the next token of each row of a batch; rows differ in every setting."""

    def __init__(self, samplings: Sequence[Sampling], keys: Sequence[RowKey], device: torch.device) -> None:
        # Rows of one setting share its tables: a list of words has hundreds of tokens.
        biases = {id(sampling): TokenBias(sampling, device) for sampling in samplings}
        self._rows = [_Row(setting, key, biases[id(setting)]) for setting, key in zip(samplings, keys, strict=True)]
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

    def draw(self, logits: torch.Tensor, steps: torch.Tensor, before: Sequence[Sequence[int]] = ()) -> torch.Tensor:
        """Return one token id per row, int64 (rows,).

        logits: (rows, vocabulary). steps: int32 (rows,), how many tokens each row has drawn before. before:
        these tokens, which biases of words depend on.
        """
        logits = logits.to(torch.float32) / self._temperatures[:, None]
        if self._bias_rows.numel():
            logits.index_put_((self._bias_rows, self._bias_tokens), self._bias_values, accumulate=True)
        for row in self._moving if before else ():
            for token, value in self._rows[row].bias.behind(before[row]):
                logits[row, token] += value
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
        biases = [row.bias for row in self._rows]
        self._greedy = torch.tensor([value == 0 for value in temperatures], device=device)
        self._all_greedy = all(value == 0 for value in temperatures)
        self._temperatures = torch.tensor([value or 1.0 for value in temperatures], device=device)
        self._keys = torch.tensor([row.key for row in self._rows], dtype=torch.int32, device=device).reshape(-1, 2)
        sizes = torch.tensor([len(bias.tokens) for bias in biases], device=device)
        self._bias_rows = torch.arange(len(biases), device=device).repeat_interleave(sizes)
        self._bias_tokens = torch.cat([bias.tokens for bias in biases])
        self._bias_values = torch.cat([bias.values for bias in biases])
        self._moving = [index for index, bias in enumerate(biases) if bias.moves]
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
