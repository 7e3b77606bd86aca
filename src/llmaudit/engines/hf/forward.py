"""One forward pass over many sequences: logits where they are needed, in the fastest layout that the model allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from llmaudit.engines.hf.encoding import Ids
from llmaudit.engines.hf.memory import Budget, in_batches, is_out_of_memory
from llmaudit.engines.hf.packing import Batch, packed_batches, padded_batches
from llmaudit.engines.hf.selfcheck import MISUSE, NO_ROOM_TO_TRY, Trial
from llmaudit.errors import EngineError, ModelError

__all__ = ["Forward", "NoMemory", "Reading"]

#: Sequences that a layout must read as it reads them alone: shared beginnings, a repetition, very unequal lengths, and
#: more of them than one packed row holds.
_PROBES = (
    (5, 9, 2),
    (5, 9, 2, 7, 3, 8, 6),
    (5, 9, 4, 4, 1),
    (5, 3, *range(1, 24)),
    (5, 9, 2, 7, 3, 8, 1, 2, 3),
    (8, *range(27, 0, -1)),
)
#: Architectures whose attention counts columns rather than positions.
_COLUMN_COUNTERS = frozenset({"gpt_neo"})


@dataclass(frozen=True, slots=True)
class Reading:
    """Logits of some sequences."""

    logits: torch.Tensor
    """float32, (positions, vocabulary); a position that sequences share is there once."""
    rows: Mapping[int, list[int]]
    """Sequence -> rows of `logits`: its positions from the one asked for to the last."""


@dataclass(frozen=True, slots=True)
class NoMemory:
    """Sequences that do not fit the memory even on their own."""

    sequences: tuple[int, ...]


class Forward:
    """Reads sequences with a causal model.

    Sequences are packed side by side with their common beginnings computed once, where the architecture gives the same
    logits that way as for one sequence alone: tried on the first use. Else every sequence has a row of its own. In less
    than float32 it may be the arithmetic that no layout agrees with: then every sequence is read by itself.
    """

    def __init__(
        self, model: Any, device: torch.device, context: int | None = None, trial: Trial | None = None
    ) -> None:
        self._model = model
        self._device = device
        self._context = context
        self._trial = trial or Trial()
        self._window = _window(model.config)
        self._packs: bool | None = None
        self._pads: bool | None = None

    @property
    def packs(self) -> bool:
        """Whether sequences may be packed. Raises ModelError where no layout agrees with one sequence alone."""
        if self._packs is None:
            self._packs = self._agrees(packed=True)
        if not self._packs:
            self.check_padding()
        return self._packs

    @property
    def alone(self) -> bool:
        """Whether sequences are read one by one, as `check_padding` has found."""
        return self._pads is False

    def check_padding(self) -> None:
        """Raise ModelError where a sequence padded beside a longer one gives other logits than alone, in float32."""
        if self._pads is None:
            self._pads = self._agrees(packed=False)
        if not self._pads and self._trial.exact:
            raise ModelError(
                f"{self._model.config.model_type}: this architecture reads a batch of texts otherwise than each text"
                " alone; llmaudit would give wrong numbers"
            )

    def read(
        self, sequences: Mapping[int, Ids], starts: Mapping[int, int], budget: Budget
    ) -> Iterator[Reading | NoMemory]:
        """Give the logits of each sequence from its position `starts` on, in batches of at most `budget` tokens."""
        # A packed mask grows with the square of its row; beyond a window it would show a token too much.
        reach = min(budget.value, self._window or budget.value) if sequences and self.packs else 0
        long = {index: ids for index, ids in sequences.items() if len(ids) > reach}
        if long:
            self.check_padding()
            yield from self._read(long, starts, budget, packed=False)
        short = {index: ids for index, ids in sequences.items() if len(ids) <= reach}
        yield from self._read(short, starts, budget, packed=True)

    def _read(
        self, sequences: Mapping[int, Ids], starts: Mapping[int, int], budget: Budget, *, packed: bool
    ) -> Iterator[Reading | NoMemory]:
        batches = partial(self._batches, packed=packed)
        reading = partial(self._reading, starts=starts, packed=packed)
        for batch, found in in_batches(sequences, budget, batches, reading):
            yield found or NoMemory(tuple(batch.places))

    def _batches(self, sequences: Mapping[int, Ids], tokens: int, *, packed: bool) -> Iterator[Batch]:
        if packed:
            return packed_batches(sequences, tokens, self._model.dtype)
        return padded_batches(sequences, 1 if self.alone else tokens)

    @torch.inference_mode()
    def _reading(self, batch: Batch, *, starts: Mapping[int, int], packed: bool) -> Reading:
        order: dict[tuple[int, int], int] = {}
        rows: dict[int, list[int]] = {}
        for index, (row, columns) in batch.places.items():
            rows[index] = [order.setdefault((row, column), len(order)) for column in columns[starts[index] :]]
        where = torch.tensor(list(order), device=self._device)
        inputs = {name: value.to(self._device) for name, value in batch.inputs.items()}
        logits = self._at(inputs, where[:, 0], where[:, 1]) if packed else self._all(inputs, where[:, 0], where[:, 1])
        return Reading(logits.float(), rows)

    def _at(self, inputs: Mapping[str, Any], rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """Have the output head compute these positions only; what the model does to logits afterwards still happens."""
        head = self._model.get_output_embeddings()
        handle = head.register_forward_pre_hook(lambda _, hidden: (hidden[0][rows, columns][None],))
        try:
            logits: torch.Tensor = self._model(**inputs, use_cache=False).logits
            return logits[0]
        finally:
            handle.remove()

    def _all(self, inputs: Mapping[str, Any], rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        first = int(columns.min())
        kept = inputs["input_ids"].shape[1] - first
        logits: torch.Tensor = self._model(**inputs, use_cache=False, logits_to_keep=kept).logits
        return logits[rows, columns - first]

    def _agrees(self, *, packed: bool) -> bool:
        if packed and self._model.config.model_type in _COLUMN_COUNTERS:
            return False
        size = self._model.get_input_embeddings().weight.shape[0]
        probes = self._trial.probes(_PROBES)
        sequences = {
            index: tuple(token % size for token in probe[: self._context]) for index, probe in enumerate(probes)
        }
        try:
            return self._same_together_and_alone(sequences, packed=packed)
        except MISUSE as error:
            if is_out_of_memory(error):
                raise EngineError(NO_ROOM_TO_TRY) from None
            return False

    def _same_together_and_alone(self, sequences: Mapping[int, Ids], *, packed: bool) -> bool:
        (batch,) = self._batches(sequences, 1 << 20, packed=packed)
        together = self._reading(batch, starts=dict.fromkeys(sequences, 0), packed=packed)
        return self._trial.agree(
            (together.logits[together.rows[index]] for index in sequences), map(self._by_itself, sequences.values())
        )

    @torch.inference_mode()
    def _by_itself(self, ids: Ids) -> torch.Tensor:
        logits: torch.Tensor = self._model(torch.tensor([ids], device=self._device), use_cache=False).logits
        return logits[0]


def _window(config: Any) -> int | None:
    """Return how far back attention looks at the least, or None where it looks back to the start everywhere.

    A sequence no longer than the window may be packed: the packed mask tells a token all that it sees.
    """
    text = config.get_text_config()
    found = [getattr(text, name, None) for name in ("sliding_window", "attention_chunk_size")]
    return min((window for window in found if isinstance(window, int) and window > 0), default=None)
