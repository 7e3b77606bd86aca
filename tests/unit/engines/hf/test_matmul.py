"""Weights packed for one number of rows: the same products, and nothing left behind."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from llmaudit.engines.hf import matmul
from llmaudit.engines.hf.matmul import PackedWeights

ROWS = 6
Memory = namedtuple("Memory", "available")

needs_mkl = pytest.mark.skipif(
    not torch.backends.mkl.is_available() or not hasattr(torch.ops.mkl, "_mkl_linear"),  # type: ignore[no-untyped-call]
    reason="this torch has no MKL",
)


class Layers(torch.nn.Module):
    """Linear layers with a bias and without one, of odd sizes, and one that is not quite a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = torch.nn.Embedding(11, 32)
        self.first = torch.nn.Linear(32, 77)
        self.second = torch.nn.Linear(77, 300, bias=False)
        self.odd = torch.nn.modules.linear.NonDynamicallyQuantizableLinear(300, 5)

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.embeddings

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.odd(
            torch.nn.functional.silu(self.second(torch.nn.functional.silu(self.first(states))))
        )
        return found


@pytest.fixture
def layers() -> Layers:
    torch.manual_seed(1)
    return Layers().eval()


def packed(model: Any) -> list[str]:
    return [name for name, module in model.named_modules() if "forward" in vars(module)]


@needs_mkl
@torch.inference_mode()
@pytest.mark.parametrize("shape", [(ROWS, 1, 32), (ROWS, 32), (1, ROWS, 32), (2, 3, 32)])
def test_the_products_are_the_same(layers: Layers, shape: tuple[int, ...]) -> None:
    states = torch.randn(shape)
    expected = [layers(states), layers.first(states)]
    with PackedWeights(layers, ROWS).used():
        assert packed(layers) == ["first", "second"]
        found = [layers(states), layers.first(states)]
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert torch.allclose(one, other, atol=1e-5, rtol=0)


@needs_mkl
@torch.inference_mode()
def test_states_that_do_not_lie_in_a_row_give_the_same_products(layers: Layers) -> None:
    turned = torch.randn(32, ROWS).T
    last = torch.randn(ROWS, 4, 32)[:, -1:]
    for states in (turned, last):
        assert not states.is_contiguous() or states.stride(0) != 32
        expected = layers.first(states)
        with PackedWeights(layers, ROWS).used():
            assert torch.allclose(layers.first(states), expected, atol=1e-5, rtol=0)


@needs_mkl
@torch.inference_mode()
@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS + 1, 7 * ROWS])
def test_another_number_of_rows_is_computed_as_ever(layers: Layers, rows: int) -> None:
    states = torch.randn(rows, 1, 32)
    expected = layers(states)
    with PackedWeights(layers, ROWS).used():
        assert torch.equal(layers(states), expected)


@needs_mkl
def test_the_layers_are_as_before_after_the_block(layers: Layers) -> None:
    with PackedWeights(layers, ROWS).used():
        pass
    assert packed(layers) == []
    with pytest.raises(ZeroDivisionError), PackedWeights(layers, ROWS).used():
        _ = 1 / 0
    assert packed(layers) == []


@needs_mkl
def test_the_layers_are_as_before_where_packing_fails_midway(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(matmul._Product):
        def __init__(self, linear: torch.nn.Linear, rows: int) -> None:
            if linear is layers.second:
                raise MemoryError
            super().__init__(linear, rows)

    monkeypatch.setattr(matmul, "_Product", Full)
    with pytest.raises(MemoryError), PackedWeights(layers, ROWS).used():
        pass
    assert packed(layers) == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_data_types_are_left_alone(layers: Layers, dtype: torch.dtype) -> None:
    with PackedWeights(layers.to(dtype), ROWS).used():
        assert packed(layers) == []


@needs_mkl
@pytest.mark.parametrize(("available", "expected"), [(3, []), (4, ["first", "second"])])
def test_where_memory_is_short_no_copy_is_made(
    layers: Layers, monkeypatch: pytest.MonkeyPatch, available: int, expected: list[str]
) -> None:
    size = sum(weights.numel() * weights.element_size() for weights in layers.parameters())
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(available * size))
    with PackedWeights(layers, ROWS).used():
        assert packed(layers) == expected


@needs_mkl
@torch.inference_mode()
def test_a_model_with_tied_weights_decodes_the_same(tiny: Any, llama_folder: Path) -> None:
    model = tiny.reference(llama_folder)
    tied = tiny.reference(tiny.folder(tiny.config(tie_word_embeddings=True)))
    ids = torch.arange(1, 1 + ROWS)[:, None]
    for each in (model, tied):
        expected = each(input_ids=ids).logits
        with PackedWeights(each, ROWS).used():
            assert "lm_head" in packed(each)
            assert torch.allclose(each(input_ids=ids).logits, expected, atol=1e-5, rtol=0)
