"""Matrix products of a decoding step on a CPU, with weights that are packed once for the size of the batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from llmaudit.engines.host import free_memory

__all__ = ["PackedWeights"]

#: How many copies of the weights must fit the free memory before one is made.
_ROOM = 3


class PackedWeights:
    """Copies of a model's weights for products with exactly `rows` rows; none where that would not help.

    MKL rearranges a matrix before it multiplies by it. For 64 rows that costs a fifth of the product, again at every
    step; here it is done once. It is what torch's own compiler does with the weights of a frozen model. The copy takes
    as much memory as the weights, so that it is made only where there is plenty.
    """

    def __init__(self, model: Any, rows: int) -> None:
        self.rows = rows
        linears = [module for module in model.modules() if type(module) is torch.nn.Linear] if _possible(model) else []
        self._products = [_Product(linear, rows) for linear in linears]

    @contextmanager
    def used(self) -> Iterator[None]:
        """Multiply by the copies inside the block; products with another number of rows stay as they are."""
        try:
            for product in self._products:
                setattr(product.linear, "forward", product)  # noqa: B010 - mypy knows that a method is no attribute
            yield
        finally:
            for product in self._products:
                vars(product.linear).pop("forward", None)


class _Product:
    """The forward method of one linear layer."""

    def __init__(self, linear: torch.nn.Linear, rows: int) -> None:
        self.linear = linear
        self._rows = rows
        self._packed = torch.ops.mkl._mkl_reorder_linear_weight(linear.weight.detach(), rows)

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        linear = self.linear
        if states.numel() != self._rows * linear.in_features:
            return torch.nn.functional.linear(states, linear.weight, linear.bias)
        product: torch.Tensor = torch.ops.mkl._mkl_linear(states, self._packed, linear.weight, linear.bias, self._rows)
        return product


def _possible(model: Any) -> bool:
    weight = model.get_input_embeddings().weight
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        return False
    if not hasattr(torch.ops.mkl, "_mkl_linear"):
        return False
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return bool(_ROOM * size < free_memory())
