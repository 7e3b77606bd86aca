"""Round-to-nearest quantization, simulated: every weight takes the nearest value that so many bits could store.

The weights stay in their own data type, so that any model on any machine can be asked what fewer bits would do to it;
nothing gets smaller or faster. What it rounds are the matrices of linear layers but for the output head, as
bitsandbytes does; embeddings, norms and biases stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch

from llmaudit.engines.quantization import MAX_BITS, ROUNDING, ROUNDING_EXAMPLES
from llmaudit.errors import ModelError

__all__ = ["Rounding", "round_weights", "rounded"]

#: Bits of a stored scale, and of a stored offset.
_SCALE_BITS = 16


@dataclass(frozen=True, slots=True)
class Rounding:
    """How weights are rounded, as a name such as `rtn4-g64-asym` says."""

    bits: int
    """1 to 8."""
    group: int | Literal["tensor", "channel"]
    """What shares a scale: a whole matrix, a row of it (an output channel), or so many neighbours in a row."""
    symmetric: bool

    @classmethod
    def parse(cls, name: str) -> Rounding | None:
        """Read a name; None where it names something else. Raises ModelError for one that is nearly right."""
        if not name.startswith("rtn"):
            return None
        found = ROUNDING.fullmatch(name)
        if found is None or int(found["bits"]) > MAX_BITS:
            raise ModelError(f"--quantization {name}: round-to-nearest is written {ROUNDING_EXAMPLES}")
        size = found["size"] or "channel"
        return cls(
            int(found["bits"]), int(size[1:]) if size.startswith("g") else _shared(size), found["lopsided"] is None
        )

    def bits_per_weight(self, rows: int, columns: int) -> float:
        """Bits that a matrix of this shape would take per weight, its scales of 16 bits (and offsets) included."""
        scales = {"tensor": 1, "channel": rows}.get(str(self.group)) or rows * -(-columns // int(self.group))
        each = _SCALE_BITS if self.symmetric else 2 * _SCALE_BITS
        return self.bits + each * scales / (rows * columns)


def rounded(weights: torch.Tensor, rounding: Rounding) -> torch.Tensor:
    """Return a matrix (rows, columns) with every weight at the nearest value that can be stored.

    Symmetric: scale = max |w| / (2^(b-1) - 1), values -(2^(b-1) - 1) to 2^(b-1) - 1 times the scale; with one bit the
    values are -s and s with s = mean |w|, which is nearest in the squared sense (Rastegari et al. 2016, "XNOR-Net",
    section 3.1). Asymmetric: 2^b values from min w to max w. Scales and offsets are of float16, as stores keep them.
    """
    rows, columns = weights.shape
    size = {"tensor": rows * columns, "channel": columns}.get(str(rounding.group)) or min(int(rounding.group), columns)
    flat = weights.float().reshape(-1) if rounding.group == "tensor" else weights.float()
    # A row that the groups do not divide ends in a shorter one, filled up with what it has.
    spare = -flat.shape[-1] % size
    if spare:
        flat = torch.cat([flat, flat[..., -1:].expand(*flat.shape[:-1], spare)], dim=-1)
    groups = flat.reshape(-1, size)
    found = _symmetric(groups, rounding.bits) if rounding.symmetric else _asymmetric(groups, rounding.bits)
    found = found.reshape(flat.shape)
    return found[..., : flat.shape[-1] - spare].reshape(rows, columns).to(weights.dtype)


def round_weights(model: Any, rounding: Rounding) -> float:
    """Round the matrices of a model in place; returns the bits per weight that they would take."""
    head = model.get_output_embeddings()
    bits = weights = 0.0
    for module in model.modules():
        matrix = getattr(module, "weight", None)
        if not _is_linear(module) or module is head or matrix is None or matrix.ndim != 2:
            continue
        # GPT-2 keeps its matrices the other way round: a row is an input there.
        turned = not isinstance(module, torch.nn.Linear)
        weight = matrix.data.T if turned else matrix.data
        new = rounded(weight, rounding)
        matrix.data.copy_(new.T if turned else new)
        bits += rounding.bits_per_weight(*weight.shape) * weight.numel()
        weights += weight.numel()
    return bits / weights if weights else float("nan")


def _is_linear(module: Any) -> bool:
    return isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"


def _symmetric(groups: torch.Tensor, bits: int) -> torch.Tensor:
    if bits == 1:
        scale = _stored(groups.abs().mean(1, keepdim=True))
        return torch.where(groups < 0, -scale, scale)
    most = 2 ** (bits - 1) - 1
    scale = _stored(groups.abs().amax(1, keepdim=True) / most)
    return (groups / scale.clamp_min(_TINY)).round().clamp(-most, most) * scale


def _asymmetric(groups: torch.Tensor, bits: int) -> torch.Tensor:
    least = groups.amin(1, keepdim=True)
    scale = _stored((groups.amax(1, keepdim=True) - least) / (2**bits - 1))
    offset = _stored(least)
    return ((groups - offset) / scale.clamp_min(_TINY)).round().clamp(0, 2**bits - 1) * scale + offset


#: Smallest scale: a group of one value has a scale of 0, and is stored by its offset or as 0.
_TINY = 2.0**-40


def _stored(values: torch.Tensor) -> torch.Tensor:
    return values.half().float()


def _shared(size: str) -> Literal["tensor", "channel"]:
    return "tensor" if size == "tensor" else "channel"
