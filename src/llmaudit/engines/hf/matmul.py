"""Matrix products of a decoding step on a CPU, with weights that are packed once for the size of the batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch

__all__ = ["packed_weights"]

#: How many copies of the weights must fit the free memory before one is made.
_ROOM = 3


@contextmanager
def packed_weights(model: Any, rows: int) -> Iterator[None]:
    """Make products with exactly `rows` rows faster inside the block; others, and other devices, stay as they are.

    MKL rearranges a matrix before it multiplies by it. For 64 rows that costs a fifth of the product, again at every
    step; here it is done once. It is what torch's own compiler does with the weights of a frozen model. The copy takes
    as much memory as the weights, so that it is made only where there is plenty, and dropped at the end.
    """
    linears = [module for module in model.modules() if type(module) is torch.nn.Linear] if _possible(model) else []
    try:
        for linear in linears:
            setattr(linear, "forward", _Packed(linear, rows))  # noqa: B010 - mypy knows that a method is no attribute
        yield
    finally:
        for linear in linears:
            vars(linear).pop("forward", None)


class _Packed:
    """The forward method of one linear layer."""

    def __init__(self, linear: torch.nn.Linear, rows: int) -> None:
        self._linear = linear
        self._rows = rows
        self._packed = torch.ops.mkl._mkl_reorder_linear_weight(linear.weight.detach(), rows)

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        linear = self._linear
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
    return bool(_ROOM * size < psutil.virtual_memory().available)
