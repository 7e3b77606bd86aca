"""Activation addition: a direction of the residual stream, added to what a layer gives for the tokens drawn.

The direction is the difference of two means over texts, of what the layer gives for the last token (Rimsky et al. 2024,
"Steering Llama 2 via contrastive activation addition", section 3; Turner et al. 2023, arXiv 2308.10248). It is scaled
to the mean norm of the layer's output over those texts, so that a strength of 1 is as long as what it is added to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

from llmaudit.engines.hf.encoding import Ids
from llmaudit.types import Direction

__all__ = ["Directions", "RowDirections", "count_layers"]

#: Gives the ids of a text.
Encode = Callable[[str], Ids]


def count_layers(model: Any) -> int:
    """Number of layers whose output can be added to; 0 where the architecture hides them."""
    return len(_layers(model))


class Directions:
    """The directions of one model; each is found once."""

    def __init__(self, model: Any, encode: Encode, device: torch.device) -> None:
        self._model = model
        self._encode = encode
        self._device = device
        self._found: dict[tuple[int, tuple[str, ...], tuple[str, ...]], torch.Tensor] = {}

    @property
    def layers(self) -> Sequence[Any]:
        """The layers, the first one first."""
        return _layers(self._model)

    def vector(self, direction: Direction) -> torch.Tensor:
        """What is added, float32 (hidden size)."""
        key = (direction.layer, direction.toward, direction.away)
        if key not in self._found:
            self._found[key] = self._difference(*key)
        return direction.strength * self._found[key]

    @torch.inference_mode()
    def _difference(self, layer: int, toward: tuple[str, ...], away: tuple[str, ...]) -> torch.Tensor:
        ends = {text: self._end(layer, text) for text in (*toward, *away)}
        difference = torch.stack([ends[text] for text in toward]).mean(0)
        difference = difference - torch.stack([ends[text] for text in away]).mean(0)
        norm = torch.stack(list(ends.values())).norm(dim=1).mean()
        # Two lists that a model cannot tell apart have no direction between them.
        return difference * (norm / difference.norm()) if difference.norm() > 0 else difference

    def _end(self, layer: int, text: str) -> torch.Tensor:
        """What a layer gives for the last token of a text."""
        seen: list[torch.Tensor] = []
        handle = self.layers[layer - 1].register_forward_hook(lambda _, __, output: seen.append(_hidden(output)))
        try:
            self._model(torch.tensor([self._encode(text)], device=self._device), use_cache=False, logits_to_keep=1)
        finally:
            handle.remove()
        return seen[0][0, -1].float()


class RowDirections:
    """What is added in each row of a batch."""

    def __init__(self, rows: Sequence[Direction | None], directions: Directions | None) -> None:
        if directions is None and any(row is not None for row in rows):
            raise ValueError("rows that are steered need the directions of their model")
        self._directions = directions
        self._rows = list(rows)
        self._prepare()

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all rows but these."""
        self._rows = [self._rows[row] for row in rows]
        self._prepare()

    def extend(self, other: RowDirections) -> None:
        """Take over the rows of another one, behind this one's."""
        self._rows += other._rows
        self._prepare()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While this lasts, a forward pass of these rows is steered."""
        with ExitStack() as stack:
            for layer, added in self._added:
                stack.callback(layer.register_forward_hook(partial(_add, added=added)).remove)
            yield

    def _prepare(self) -> None:
        self._added: list[tuple[Any, torch.Tensor]] = []
        """(layer, what is added to its output, of shape (rows, 1, hidden size))."""
        if self._directions is None:
            return
        for number in sorted({direction.layer for direction in self._rows if direction is not None}):
            column = _column(self._rows, number, self._directions)
            self._added.append((self._directions.layers[number - 1], torch.stack(column)[:, None]))


def _column(rows: Sequence[Direction | None], layer: int, directions: Directions) -> list[torch.Tensor]:
    here = [row if row is not None and row.layer == layer else None for row in rows]
    vectors = [None if direction is None else directions.vector(direction) for direction in here]
    size = next(vector for vector in vectors if vector is not None)
    return [torch.zeros_like(size) if vector is None else vector for vector in vectors]


def _add(_: Any, __: Any, output: Any, *, added: torch.Tensor) -> Any:
    hidden = _hidden(output)
    steered = hidden + added.to(hidden.dtype)
    return (steered, *output[1:]) if isinstance(output, tuple) else steered


def _hidden(output: Any) -> torch.Tensor:
    hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return hidden


def _layers(model: Any) -> Sequence[Any]:
    count = int(model.config.get_text_config().num_hidden_layers)
    stacks: list[Sequence[Any]] = [
        list(part) for part in model.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == count
    ]
    return next(iter(stacks), [])
