"""What the tensors of a GGUF file take there: in memory they are larger, dequantised to be computed with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from llmaudit.engines.comparing import Footprint

__all__ = ["as_in_gguf"]


def as_in_gguf(held: Footprint, file: Path) -> Footprint:
    """Return a footprint whose stored bytes are those of the file that the weights were read from.

    A matrix for which the file's architecture has no name is left out.
    """
    from gguf import MODEL_ARCH_NAMES, GGUFReader, get_tensor_name_map  # noqa: PLC0415 - slow, and rarely needed

    reader = GGUFReader(file)
    sizes = {tensor.name: int(tensor.n_bytes) for tensor in reader.tensors}
    # The number in "blk.12.attn_q.weight" is the layer's.
    layers = 1 + max((int(name.split(".")[1]) for name in sizes if name.startswith("blk.")), default=0)
    field = reader.get_field("general.architecture")
    architectures = {name: number for number, name in MODEL_ARCH_NAMES.items()}
    names = get_tensor_name_map(architectures[str(field.contents() if field else "")], layers)
    found = {matrix: sizes.get(f"{names.get_name(matrix)}.weight") for matrix in held.matrices}
    matrices = {matrix: size for matrix, size in found.items() if size is not None}
    return replace(held, stored_bytes=sum(sizes.values()), matrices=matrices)
