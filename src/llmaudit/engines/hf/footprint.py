"""What the weights of a loaded model take: as stored, and as really held in memory.

The library's own figure is wrong for several quantizers, and blind to the scales of scales: every tensor is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from llmaudit.engines.comparing import Footprint
from llmaudit.engines.hf.checkpoint import method_of
from llmaudit.engines.hf.rounding import Rounding

__all__ = ["Stored", "allocated_tensors", "count_parameters", "footprint", "is_matrix", "weigh", "weights_of"]

#: How deep the tensors of a quantizer lie: a parameter's state, the state of its scales, their codebook.
_DEPTH = 7


@dataclass(frozen=True, slots=True)
class Stored:
    """What weights take as they are stored; the fields are those of Footprint."""

    bytes: int
    parameters: int
    matrices: Mapping[str, int]
    weights: Mapping[str, int]
    simulated: bool


def weigh(model: Any, rounding: Rounding | None = None) -> Stored:
    """Weigh a model that was just loaded: bitsandbytes lays weights out anew when it first multiplies on a CPU."""
    tensors = _stored(model)
    matrices = _matrices(model, tensors)
    weights = {name: weights_of(model.get_submodule(name)) for name in matrices}
    total = sum(tensor.numel() * tensor.element_size() for tensor in _each_once(tensors).values())
    if rounding is not None:
        computed = {name: _rounded_bytes(model.get_submodule(name), rounding) for name in matrices}
        total += sum(computed.values()) - sum(matrices.values())
        matrices = computed
    known = {name: count for name, count in weights.items() if count}
    return Stored(total, count_parameters(model), matrices, known, simulated=rounding is not None)


def footprint(model: Any, stored: Stored, load_seconds: float, on_device: int) -> Footprint:
    """Weigh a model as it is held. `on_device` is what loading took of the accelerator's memory; 0 without one."""
    return Footprint(
        stored_bytes=stored.bytes,
        allocated_bytes=on_device or sum(tensor.untyped_storage().nbytes() for tensor in allocated_tensors(model)),
        parameters=stored.parameters,
        load_seconds=load_seconds,
        matrices=stored.matrices,
        weights=stored.weights,
        simulated=stored.simulated,
    )


def count_parameters(model: Any) -> int:
    """Return the number of parameters, packed ones counted as what they stand for, and their scales not at all."""
    if method_of(model.config) in {None, "bitsandbytes"}:
        # Packed four-bit weights hold two parameters a byte; transformers' own count knows those, and no others.
        return int(model.num_parameters())
    counts: dict[int, int] = {}
    for module in model.modules():
        own = dict(module.named_parameters(recurse=False))
        if is_matrix(module) and (weights := weights_of(module)):
            own = {name: parameter for name, parameter in own.items() if name in {"weight", "bias"}}
            counts[id(own.pop("weight", module))] = weights
        counts |= {id(parameter): parameter.numel() for parameter in own.values()}
    return sum(counts.values())


def allocated_tensors(model: Any) -> list[torch.Tensor]:
    """Every tensor that a model holds, one per storage: parameters, buffers, and what quantizers keep beside them."""
    found: dict[int, torch.Tensor] = {}
    for module in model.modules():
        own = {name: value for name, value in vars(module).items() if name != "_modules"}
        for tensor in _tensors(own, _DEPTH):
            found.setdefault(tensor.untyped_storage().data_ptr(), tensor)
    return list(found.values())


def _tensors(value: Any, depth: int) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
        # bitsandbytes hangs scales on the parameter itself.
        value = vars(value)
    elif isinstance(value, torch.nn.Module) or depth == 0:
        return
    if isinstance(value, Mapping):
        parts = list(value.values())
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        parts = list(getattr(value, "__dict__", {}).values())
    for part in parts:
        yield from _tensors(part, depth - 1)


def _stored(model: Any) -> dict[str, torch.Tensor]:
    return {name: value for name, value in model.state_dict().items() if isinstance(value, torch.Tensor)}


def _each_once(stored: Mapping[str, torch.Tensor]) -> dict[tuple[int, int], torch.Tensor]:
    """Tied weights are stored once."""
    return {(tensor.data_ptr(), tensor.numel()): tensor for tensor in stored.values()}


def _matrices(model: Any, stored: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Bytes of every matrix of a linear layer but the output head's, with what its quantizer stores beside it."""
    head = model.get_output_embeddings()
    found: dict[str, int] = {}
    for name, module in model.named_modules():
        if module is head or not is_matrix(module) or next(module.children(), None) is not None:
            continue
        own = (tensor for key, tensor in stored.items() if key.startswith(f"{name}.") and not key.endswith(".bias"))
        found[name] = sum(tensor.numel() * tensor.element_size() for tensor in own)
    return found


def is_matrix(module: Any) -> bool:
    """Whether a module is a linear layer, by whatever name."""
    # The linear layers of quantizers have names such as Linear4bit, QuantLinear and WQLinear_GEMM.
    return isinstance(module, torch.nn.Linear) or "Linear" in type(module).__name__ or type(module).__name__ == "Conv1D"


def weights_of(module: Any) -> int:
    """Number of weights of a linear layer, which its packed tensor may hide; 0 where nothing tells."""
    rows, columns = getattr(module, "out_features", None), getattr(module, "in_features", None)
    if isinstance(rows, int) and isinstance(columns, int):
        return rows * columns
    weight = getattr(module, "weight", None)
    return int(weight.numel()) if isinstance(weight, torch.Tensor) else 0


def _rounded_bytes(module: Any, rounding: Rounding) -> int:
    rows, columns = module.weight.shape if isinstance(module, torch.nn.Linear) else reversed(module.weight.shape)
    return round(rounding.bits_per_weight(rows, columns) * rows * columns / 8)
