"""Round-to-nearest, against what theory says of its error."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.loading import load_model
from llmaudit.engines.hf.rounding import Rounding, round_weights, rounded
from llmaudit.errors import ModelError
from llmaudit.types import Completion, Generate, Sampling

NAMES = ("rtn8", "rtn4-tensor", "rtn4-channel-asym", "rtn3-g64", "rtn2-g32-asym", "rtn1", "rtn1-g8")


def named(name: str) -> Rounding:
    found = Rounding.parse(name)
    assert found is not None
    return found


def noise(bits: int, group: str = "tensor") -> float:
    """Mean squared error on weights spread evenly, over that of steps of the nominal width."""
    weights = torch.rand(256, 256, generator=torch.Generator().manual_seed(3)) * 2 - 1
    error = rounded(weights, named(f"rtn{bits}-{group}-asym")) - weights
    step: float = 2 / (2**bits - 1)
    return float((error**2).mean()) / (step * step / 12)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_the_error_of_a_step_is_a_twelfth_of_its_square(bits: int) -> None:
    # So every bit cuts the squared error by four, 6.02 dB.
    assert noise(bits) == pytest.approx(1, rel=0.03)


def test_a_finer_scale_is_no_worse() -> None:
    weights = torch.randn(64, 256, generator=torch.Generator().manual_seed(4)) * torch.linspace(0.1, 3, 64)[:, None]
    errors = [
        float(((rounded(weights, named(f"rtn4-{size}")) - weights) ** 2).mean())
        for size in ("tensor", "channel", "g32")
    ]
    assert errors == sorted(errors, reverse=True)


def test_one_bit_is_the_sign_times_the_mean_size() -> None:
    weights = torch.tensor([[0.5, -1.5, 1.0, -1.0]])
    assert rounded(weights, named("rtn1")).tolist() == [[1.0, -1.0, 1.0, -1.0]]


def test_a_group_at_the_end_of_a_row_may_be_short() -> None:
    weights = torch.tensor([[1.0, 2.0, 3.0, 100.0, 50.0]])
    found = rounded(weights, named("rtn8-g3"))
    assert found.shape == weights.shape
    assert torch.allclose(found, weights, atol=0.5)


@given(st.sampled_from(NAMES), st.integers(1, 9), st.integers(1, 40), st.integers(0, 99))
def test_no_weight_moves_by_more_than_half_a_step(name: str, rows: int, columns: int, seed: int) -> None:
    weights = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    rounding = named(name)
    found = rounded(weights, rounding)
    assert found.shape == weights.shape
    assert torch.isfinite(found).all()
    if rounding.bits > 1:
        reach = float(weights.max() - weights.min()) if not rounding.symmetric else 2 * float(weights.abs().max())
        steps = 2**rounding.bits - (1 if not rounding.symmetric else 2)
        assert float((found - weights).abs().max()) <= 0.5 * reach / steps * 1.01 + 2e-3 * float(weights.abs().max())


@pytest.mark.parametrize("value", [0.0, 0.25, -3.0])
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("rtn1")])
def test_equal_weights_stay_what_they_are(name: str, value: float) -> None:
    weights = torch.full((3, 70), value)
    assert torch.allclose(rounded(weights, named(name)), weights, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("rtn4-tensor", 4 + 16 / (64 * 128)),
        ("rtn4", 4 + 16 / 128),
        ("rtn4-asym", 4 + 32 / 128),
        ("rtn4-g64", 4.25),
        ("rtn2-g32-asym", 3.0),
        ("rtn3-g100", 3 + 2 * 16 / 128),
    ],
)
def test_bits_per_weight_count_the_scales(name: str, bits: float) -> None:
    assert named(name).bits_per_weight(64, 128) == pytest.approx(bits)


def test_names() -> None:
    assert Rounding.parse("nf4") is None
    assert named("rtn4") == Rounding(4, "channel", symmetric=True)
    assert named("rtn2-g32-asym") == Rounding(2, 32, symmetric=False)
    for wrong in ("rtn", "rtn0", "rtn9", "rtn4-g0", "rtn4-row", "rtn4-asym-g4"):
        with pytest.raises(ModelError, match=r"round-to-nearest is written rtn4, .* \(1 to 8 bits\)"):
            Rounding.parse(wrong)


@pytest.mark.parametrize("architecture", ["Llama", "GPT2"])
def test_the_matrices_of_a_model_are_rounded_and_nothing_else(tiny: Any, architecture: str) -> None:
    folder = tiny.folder(tiny.config(architecture))
    before, model = tiny.reference(folder).state_dict(), tiny.reference(folder)
    assert round_weights(model, named("rtn2")) > 2
    changed = {name for name, weights in model.state_dict().items() if not torch.equal(weights, before[name])}
    assert changed
    assert not any(word in name for name in changed for word in ("embed", "wte", "wpe", "norm", "ln_", "bias", "head"))
    for name in changed:
        weights = model.state_dict()[name]
        rows = weights.T if architecture == "GPT2" else weights
        assert all(len(row.unique()) <= 3 for row in rows)


def test_a_model_is_asked_with_rounded_weights(tiny: Any, llama_folder: Path) -> None:
    asked = Generate("In most offices", "c", Sampling(temperature=0, max_new_tokens=12))
    texts = {}
    for name in (None, "rtn1-tensor"):
        engine = tiny.engine(llama_folder, quantization=name)
        (found,) = dict(engine.run([asked])).values()
        assert isinstance(found, Completion)
        texts[name] = found.text
        assert engine.info.quantization == name
    assert texts[None] != texts["rtn1-tensor"]


def test_a_model_without_matrices_has_no_bits() -> None:
    class Empty(torch.nn.Module):
        def get_output_embeddings(self) -> None:
            return None

    assert math.isnan(round_weights(Empty(), named("rtn4")))


def test_rounded_weights_are_multiplied_in_full_precision(llama_folder: Path) -> None:
    assert load_model(EngineOptions(str(llama_folder), device="cpu", quantization="rtn4")).exact
