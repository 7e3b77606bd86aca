"""Whether a model decodes in a batch as it does alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.hf.selfcheck import PROBE_TEXTS, Trial, check_decoding
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


def same(found: torch.Tensor, expected: torch.Tensor, *, exact: bool = True) -> bool:
    return Trial(exact=exact).agree([found], [expected])


def test_in_float32_only_the_last_digits_may_differ() -> None:
    reference = logits([0.0, 1.0, -40.0], [2.0, 0.0, 0.0])
    assert same(reference + 7, reference)
    assert same(reference + 1e-3 * torch.tensor([1.0, -1.0, 1.0]), reference)
    assert not same(reference + 1e-2 * torch.tensor([1.0, -1.0, 1.0]), reference)
    # What a token of probability 1e-18 exactly has is rounding.
    assert same(logits([0.0, 1.0, -30.0], [2.0, 0.0, 0.0]), reference)
    # A token that a model excludes is excluded on both sides.
    assert same(logits([0.0, -torch.inf]), logits([0.0, -torch.inf]))
    assert not same(logits([0.0, -torch.inf]), logits([0.0, 0.0]))


@pytest.mark.parametrize("exact", [True, False])
def test_nan_is_close_to_nothing(exact: bool) -> None:
    sound, broken = logits([0.0, 1.0], [2.0, 0.0]), logits([0.0, 1.0], [torch.nan, 0.0])
    assert not same(broken, sound, exact=exact)
    assert not same(sound, broken, exact=exact)
    assert not same(broken, broken, exact=exact)


def test_a_shorter_data_type_may_move_a_position_by_a_hundredth_of_the_way_to_the_next_one() -> None:
    reference = logits([0.0, 1.0, -torch.inf], [3.0, 0.0, -torch.inf])
    trial = Trial(exact=False)
    assert trial.agree([reference + torch.tensor([0.1, 0.0, 0.0])], [reference])
    assert trial.company == pytest.approx(0.0006, rel=0.05)
    assert not trial.agree([reference + torch.tensor([1.0, 0.0, 0.0])], [reference])
    assert trial.company < 0.001


def test_one_position_tells_nothing_unless_it_is_the_same() -> None:
    only = logits([0.0, 1.0])
    assert same(only, only, exact=False)
    assert not same(only + torch.tensor([0.1, 0.0]), only, exact=False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["Llama", "GPT2", "Qwen2"])
def test_rounding_is_told_from_an_error(tiny: Any, name: str, dtype: torch.dtype) -> None:
    folder = tiny.folder(tiny.config(name))
    model = tiny.reference(folder).to(dtype)
    texts = [tuple(tiny.engine(folder)._encoder.text(text)) for text in PROBE_TEXTS]
    assert check_decoding(model, CPU, None, Trial(exact=False, texts=texts))
    blind = Blind(model, {"attention_mask": torch.ones_like})
    assert not check_decoding(blind, CPU, None, Trial(exact=False, texts=texts))
