"""Whether a model decodes in a batch as it does alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.hf.selfcheck import check_decoding, close_enough
from llmaudit.errors import ModelError
from llmaudit.types import Generate, Sampling

CPU = torch.device("cpu")


class Blind:
    """A model that is given other inputs at a decoding step than the caller thinks."""

    def __init__(self, model: Any, changes: dict[str, Any]) -> None:
        self.model = model
        self.changes = changes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, *ids: torch.Tensor, **inputs: Any) -> Any:
        if not ids and inputs["input_ids"].shape[1] == 1:
            inputs |= {name: change(inputs[name]) for name, change in self.changes.items()}
        return self.model(*ids, **inputs)


@pytest.fixture(scope="module")
def reference(tiny: Any, llama_folder: Path) -> Any:
    return tiny.reference(llama_folder)


@pytest.mark.parametrize("name", ["Llama", "GPT2", "Qwen2"])
@pytest.mark.parametrize("context", [None, 96, 10, 4])
def test_a_sound_model_passes(tiny: Any, name: str, context: int | None) -> None:
    changes = {} if context is None else {"max_position_embeddings": context}
    model = tiny.reference(tiny.folder(tiny.config(name, **changes)))
    check_decoding(model, CPU, context)


def test_a_small_vocabulary_is_no_reason_to_refuse(tiny: Any) -> None:
    model = tiny.reference(tiny.folder(tiny.config(vocab_size=7)))
    check_decoding(model, CPU)


@pytest.mark.parametrize(
    "changes",
    [{"attention_mask": torch.ones_like}, {"position_ids": torch.zeros_like}],
    ids=["mask", "positions"],
)
def test_a_model_that_ignores_what_a_step_is_told_is_refused(reference: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"\Allama: this architecture decodes a batch of texts otherwise .*\Z"):
        check_decoding(Blind(reference, changes), CPU)


def fail(_: torch.Tensor) -> torch.Tensor:
    raise NotImplementedError("no padding here\nand a second line")


def test_a_model_that_cannot_decode_is_refused_with_the_reason(reference: Any) -> None:
    with pytest.raises(ModelError, match=r"\Allama: this architecture does not decode .* \(no padding here\); .*\Z"):
        check_decoding(Blind(reference, {"attention_mask": fail}), CPU)


def test_a_model_that_gives_no_numbers_is_refused(tiny: Any, reference: Any) -> None:
    # Weights of a broken download, or float16 that ran over.
    model = tiny.reference(tiny.folder())
    model.get_output_embeddings().weight.data[3] = torch.nan
    with pytest.raises(ModelError, match=r"\Allama: .*\Z"):
        check_decoding(model, CPU)
    with pytest.raises(ModelError, match=r"\Allama: .*\Z"):
        check_decoding(Blind(reference, {"input_ids": lambda ids: ids, "attention_mask": lambda mask: mask / 0}), CPU)


def test_the_engine_asks_before_the_first_completion(tiny: Any) -> None:
    model = tiny.reference(tiny.folder())
    model.model.norm.weight.data[:] = torch.nan
    engine = tiny.engine(tiny.folder(model))
    with pytest.raises(ModelError, match=r"\Allama: .*\Z"):
        list(engine.run([Generate("The", "c", Sampling(max_new_tokens=2))]))


def logits(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows)


def test_close_enough() -> None:
    reference = logits([0.0, 1.0, -40.0], [2.0, 0.0, 0.0])
    assert close_enough(reference + 7, reference, exact=True)
    assert close_enough(reference + 1e-3 * torch.tensor([1.0, -1.0, 1.0]), reference, exact=True)
    assert not close_enough(reference + 1e-2 * torch.tensor([1.0, -1.0, 1.0]), reference, exact=True)
    # What a token of probability 1e-18 exactly has is rounding.
    assert close_enough(logits([0.0, 1.0, -30.0], [2.0, 0.0, 0.0]), reference, exact=True)
    # A token that a model excludes is excluded on both sides.
    assert close_enough(logits([0.0, -torch.inf]), logits([0.0, -torch.inf]), exact=True)
    assert not close_enough(logits([0.0, -torch.inf]), logits([0.0, 0.0]), exact=True)


def test_nan_is_close_to_nothing() -> None:
    sound, broken = logits([0.0, 1.0], [2.0, 0.0]), logits([0.0, 1.0], [torch.nan, 0.0])
    assert not close_enough(broken, sound, exact=True)
    assert not close_enough(sound, broken, exact=True)
    assert not close_enough(broken, broken, exact=True)


def test_a_shorter_data_type_has_more_tolerance() -> None:
    reference = logits([0.0, 1.0])
    assert close_enough(reference + torch.tensor([0.2, 0.0]), reference, exact=False)
    assert not close_enough(reference + torch.tensor([2.0, 0.0]), reference, exact=False)
