"""What weights take, against counts by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.comparing import Footprint
from llmaudit.engines.hf.footprint import allocated_tensors, footprint, weigh
from llmaudit.engines.hf.rounding import Rounding

# The tiny Llama: hidden size 32, two layers, 4 heads of 8 and 2 of keys and values, 64 in the middle.
LAYER = 32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 64
WEIGHTS = 2 * LAYER

bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="needs bitsandbytes: pip install llmaudit[quantization]"
)


@pytest.fixture(scope="module")
def model(tiny: Any, llama_folder: Path) -> Any:
    return tiny.reference(llama_folder)


def of(model: Any) -> Footprint:
    return footprint(model, weigh(model), 0.0, 0)


def test_weights_of_four_bytes(model: Any) -> None:
    found = footprint(model, weigh(model), 1.5, 0)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert found.parameters == parameters
    assert found.stored_bytes == 4 * parameters
    assert sum(found.weights.values()) == WEIGHTS
    assert sum(found.matrices.values()) == 4 * WEIGHTS
    assert not any("lm_head" in name for name in found.matrices)
    assert (found.load_seconds, found.simulated) == (1.5, False)
    # Rotary frequencies are held and not stored.
    assert 0 <= found.allocated_bytes - found.stored_bytes < 1000


def test_shorter_weights_take_half(tiny: Any, llama_folder: Path) -> None:
    half = of(tiny.reference(llama_folder).half())
    assert sum(half.matrices.values()) == 2 * WEIGHTS


def test_tied_weights_are_stored_once(tiny: Any) -> None:
    untied = of(tiny.reference(tiny.folder(tiny.config(tie_word_embeddings=False))))
    tied = of(tiny.reference(tiny.folder(tiny.config(tie_word_embeddings=True))))
    assert untied.stored_bytes - tied.stored_bytes == 4 * 300 * 32
    assert untied.allocated_bytes - tied.allocated_bytes == 4 * 300 * 32


def test_matrices_that_lie_the_other_way_round_are_counted_alike(tiny: Any, gpt2_folder: Path) -> None:
    found = of(tiny.reference(gpt2_folder))
    # GPT-2: four matrices a layer (3 x 32^2, 32^2, and two of 32 x 64).
    assert sum(found.weights.values()) == 2 * (4 * 32 * 32 + 2 * 32 * 64)


@pytest.mark.parametrize("name", ["llama_folder", "gpt2_folder"])
def test_rounded_weights_take_what_their_name_says(request: pytest.FixtureRequest, tiny: Any, name: str) -> None:
    model = tiny.reference(request.getfixturevalue(name))
    plain, found = of(model), footprint(model, weigh(model, Rounding(4, 16, symmetric=True)), 0.0, 0)
    weights = sum(found.weights.values())
    assert sum(found.matrices.values()) == weights * (4 + 16 / 16) / 8
    assert plain.stored_bytes - found.stored_bytes == weights * (32 - 5) / 8
    assert found.allocated_bytes == plain.allocated_bytes
    assert found.simulated


def test_what_an_accelerator_says_goes_first(model: Any) -> None:
    assert footprint(model, weigh(model), 0.0, 123_456).allocated_bytes == 123_456


class Linear4bit(torch.nn.Linear):
    """A layer whose scales hang on its parameter, as bitsandbytes has them."""

    def __init__(self) -> None:
        super().__init__(8, 8, bias=False)
        vars(self.weight)["quant_state"] = State()


class State:
    """Scales, and scales of scales."""

    def __init__(self) -> None:
        self.absmax = torch.zeros(10)
        self.nested = [torch.zeros(3), {"code": torch.zeros(4)}]
        self.again = self.absmax


def test_what_hangs_on_a_parameter_is_found_once() -> None:
    layer = Linear4bit()
    sizes = sorted(tensor.numel() for tensor in allocated_tensors(layer))
    assert sizes == [3, 4, 10, 64]


@bitsandbytes
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("name", "bits"),
    # A scale of 32 bits for 64 weights; or one of 8, and one of 32 for 256 of those (Dettmers et al. 2023, QLoRA).
    [("nf4", 4.5), ("fp4", 4.5), ("nf4-double", 4 + 8 / 64 + 32 / (64 * 256)), ("int8", 8.0)],
)
def test_bitsandbytes_takes_what_its_papers_say(tiny: Any, name: str, bits: float) -> None:
    # Large enough that the codebooks, a kilobyte a matrix at most, weigh little.
    config = tiny.config(hidden_size=512, intermediate_size=1024, num_hidden_layers=1)
    engine = tiny.engine(tiny.folder(config), quantization=name)
    found = engine.footprint()
    measured = 8 * sum(found.matrices.values()) / sum(found.weights.values())
    # Of double quantization a codebook of 256 numbers is stored with every matrix; of int8 a scale with every row.
    assert measured == pytest.approx(bits, abs={"nf4-double": 0.04, "int8": 0.08}.get(name, 0.005))
    assert found.allocated_bytes == pytest.approx(found.stored_bytes, rel=0.02)
    assert not found.simulated
