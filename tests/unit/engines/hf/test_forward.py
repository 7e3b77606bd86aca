"""One forward pass over many sequences: the logits of each alone, whatever the layout and however short the memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from llmaudit.engines.hf.encoding import Ids
from llmaudit.engines.hf.forward import Forward, NoMemory
from llmaudit.engines.hf.memory import Budget
from llmaudit.errors import ModelError

pytestmark = pytest.mark.usefixtures("quick_release")

CPU = torch.device("cpu")
CPU_WORDS = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. Error code 12"


def drawn(length: int, seed: int) -> Ids:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(1, 300, (length,), generator=generator).tolist())


LONG = drawn(40, 99)
#: Shared beginnings, a duplicate, one token alone, and more than one row of any layout.
SEQUENCES: dict[int, Ids] = {
    3: LONG,
    5: (*LONG[:30], *drawn(5, 1)),
    8: (*LONG[:30], *drawn(9, 2)),
    1: LONG[:12],
    9: LONG,
    2: (7,),
    **{10 + length: drawn(length, length) for length in range(2, 36, 3)},
}
STARTS = {index: index % len(ids) for index, ids in SEQUENCES.items()}


def model(tiny: Any, name: str, **changes: Any) -> Any:
    return tiny.reference(tiny.folder(tiny.config(name, **changes)))


@pytest.fixture(scope="module")
def reference(tiny: Any) -> Any:
    return model(tiny, "Llama", max_position_embeddings=512)


def read(
    forward: Forward, budget: Budget, sequences: Mapping[int, Ids] = SEQUENCES, starts: Mapping[int, int] = STARTS
) -> dict[int, torch.Tensor | None]:
    """Give each sequence's logits, None where the memory does not hold it."""
    found: dict[int, torch.Tensor | None] = {}
    for reading in forward.read(sequences, starts, budget):
        answers: dict[int, torch.Tensor | None]
        if isinstance(reading, NoMemory):
            answers = dict.fromkeys(reading.sequences)
        else:
            assert reading.logits.dtype == torch.float32
            answers = {index: reading.logits[rows] for index, rows in reading.rows.items()}
        assert not found.keys() & answers.keys()
        found |= answers
    assert found.keys() == sequences.keys()
    return found


def alone(model: Any, ids: Ids, start: int) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([ids])).logits[0]
    return logits[start:].float()


def equal_to_one_row_alone(
    model: Any, found: Mapping[int, torch.Tensor | None], sequences: Mapping[int, Ids] = SEQUENCES
) -> None:
    for index, logits in found.items():
        expected = alone(model, sequences[index], STARTS.get(index, 0))
        assert logits is not None
        assert logits.shape == expected.shape
        assert torch.allclose(logits.log_softmax(1), expected.log_softmax(1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("tokens", [1, 60, 512, 10_000])
@pytest.mark.parametrize("packs", [True, False])
def test_packed_is_padded_is_one_row_alone(reference: Any, packs: bool, tokens: int) -> None:
    forward = Forward(reference, CPU)
    assert forward.packs
    forward.check_padding()
    forward._packs = packs
    equal_to_one_row_alone(reference, read(forward, Budget("tokens", tokens)))


@pytest.mark.parametrize(
    ("name", "changes", "packs"),
    [
        ("Llama", {}, True),
        ("GPT2", {}, True),
        ("Gemma", {"head_dim": 8}, True),
        ("Qwen2", {}, True),
        ("GPTNeoX", {}, True),
        # The bias of ALiBi counts columns, and so does the local attention of GPT-Neo.
        ("Bloom", {"max_position_embeddings": None, "num_key_value_heads": None}, False),
        ("GPTNeo", {"attention_types": [[["global", "local"], 1]], "window_size": 8, "num_layers": 2}, False),
    ],
)
def test_an_architecture_packs_or_has_a_row_for_each_sequence(
    tiny: Any, watched: Any, name: str, changes: dict[str, Any], packs: bool
) -> None:
    changes = {key: value for key, value in changes.items() if value is not None}
    usual = model(tiny, name, **changes)
    seen = watched(usual)
    forward = Forward(seen, CPU)
    assert forward.packs is packs
    seen.inputs.clear()
    equal_to_one_row_alone(usual, read(forward, Budget("tokens", 512)))
    assert {"position_ids" in inputs for inputs in seen.inputs} == {packs}


def test_a_sequence_longer_than_the_window_is_not_packed(tiny: Any, watched: Any) -> None:
    usual = model(tiny, "Mistral", sliding_window=30)
    seen = watched(usual)
    forward = Forward(seen, CPU)
    assert forward.packs
    forward.check_padding()
    seen.inputs.clear()
    equal_to_one_row_alone(usual, read(forward, Budget("tokens", 512)))
    # Only once the long ones are read may the others be packed.
    assert "position_ids" not in seen.inputs[0]
    seen.inputs.clear()
    short = {index: ids for index, ids in SEQUENCES.items() if len(ids) <= 30}
    equal_to_one_row_alone(usual, read(forward, Budget("tokens", 512), short))
    assert all("position_ids" in inputs for inputs in seen.inputs)


class Changed:
    """A model whose logits a change turns into others."""

    def __init__(self, model: Any, change: Any) -> None:
        self.model = model
        self.change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, *ids: torch.Tensor, **inputs: Any) -> Any:
        out = self.model(*ids, **inputs)
        # In place: what hooks and heads return is what the caller sees.
        self.change(out.logits, ids[0] if ids else inputs["input_ids"])
        return out


def add_the_number_of_rows(logits: torch.Tensor, ids: torch.Tensor) -> None:
    logits[..., 5] += 0.5 * ids.shape[0]


def add_the_number_of_columns(logits: torch.Tensor, ids: torch.Tensor) -> None:
    logits[..., 5] += 0.1 * ids.shape[1]


def make_nan(logits: torch.Tensor, ids: torch.Tensor) -> None:
    logits[:] = torch.nan


@pytest.mark.parametrize("change", [add_the_number_of_rows, add_the_number_of_columns, make_nan])
def test_an_architecture_whose_batches_disagree_is_refused(reference: Any, change: Any) -> None:
    forward = Forward(Changed(reference, change), CPU)
    with pytest.raises(ModelError, match=r"\Allama: this architecture reads a batch of texts otherwise .*\Z"):
        list(forward.read(SEQUENCES, STARTS, Budget("tokens", 512)))


def test_the_context_is_not_exceeded_by_the_trial(tiny: Any) -> None:
    # Learned positions: a longer sequence would be an IndexError, and the model would never pack.
    usual = model(tiny, "GPT2", max_position_embeddings=10)
    assert Forward(usual, CPU, 10).packs


def error_above(tokens: int, error: BaseException) -> Any:
    return lambda inputs: error if inputs["input_ids"].numel() > tokens else None


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(CPU_WORDS)], ids=repr)
@pytest.mark.parametrize("tokens", [100, 64, 41])
@pytest.mark.parametrize("packs", [True, False])
def test_out_of_memory_halves_the_budget_until_it_works(
    reference: Any, watched: Any, error: BaseException, tokens: int, packs: bool
) -> None:
    cramped = watched(reference)
    forward = Forward(cramped, CPU)
    assert forward.packs
    forward.check_padding()
    forward._packs = packs
    cramped.refuse = error_above(tokens, error)
    budget = Budget("tokens read at a time", 512, "key")
    found = read(forward, budget)
    equal_to_one_row_alone(reference, found)
    assert tokens / 4 < budget.value <= tokens or budget.value == 64
    told = f"tokens read at a time: {budget.value} instead of 512"
    assert budget.remark == f"{told}, since the memory ran out"
    again = Budget("tokens read at a time", 512, "key")
    assert again.remark == f"{told}, since an earlier run here was out of memory"
    equal_to_one_row_alone(reference, read(forward, again))
    assert again.value == budget.value


@pytest.mark.parametrize("packs", [True, False])
def test_what_never_fits_is_refused_for_itself_alone(reference: Any, watched: Any, packs: bool) -> None:
    # It shares a start with all, and long beginnings with some: they are read without it.
    huge = (LONG[0], *drawn(150, 5))
    sequences = SEQUENCES | {100: huge, 101: (*huge[:149], 1), 102: (LONG[0],), 103: huge[:40]}
    cramped = watched(reference)
    forward = Forward(cramped, CPU)
    assert forward.packs
    forward.check_padding()
    forward._packs = packs
    cramped.refuse = error_above(120, torch.OutOfMemoryError("no"))
    found = read(forward, Budget("tokens", 512), sequences, STARTS | dict.fromkeys(range(100, 104), 0))
    assert {index for index, logits in found.items() if logits is None} == {100, 101}
    answered = {index: logits for index, logits in found.items() if logits is not None}
    equal_to_one_row_alone(reference, answered, sequences)


def test_a_budget_of_one_token_still_answers_all_that_fit(reference: Any, watched: Any) -> None:
    cramped = watched(reference)
    forward = Forward(cramped, CPU)
    assert forward.packs
    forward.check_padding()
    cramped.refuse = error_above(9, torch.OutOfMemoryError("no"))
    found = read(forward, Budget("tokens", 512))
    assert {index for index, logits in found.items() if logits is None} == {
        index for index, ids in SEQUENCES.items() if len(ids) > 9
    }


def test_any_other_error_passes_through(reference: Any, watched: Any) -> None:
    broken = watched(reference)
    forward = Forward(broken, CPU)
    assert forward.packs
    forward.check_padding()
    broken.refuse = error_above(0, RuntimeError("the size of tensor a must match"))
    budget = Budget("tokens", 512)
    with pytest.raises(RuntimeError, match="the size of tensor a must match"):
        read(forward, budget)
    assert (budget.value, budget.remark) == (512, None)


def test_the_head_computes_the_positions_asked_for_and_no_others(reference: Any) -> None:
    forward = Forward(reference, CPU)
    assert forward.packs
    forward.check_padding()
    computed: list[int] = []
    handle = reference.get_output_embeddings().register_forward_hook(
        lambda _, __, logits: computed.append(logits.shape[:-1].numel())
    )
    try:
        last = {index: len(ids) - 1 for index, ids in SEQUENCES.items()}
        read(forward, Budget("tokens", 10_000), starts=last)
        # A sequence that is there twice is computed once.
        assert sum(computed) == len(set(SEQUENCES.values()))
        computed.clear()
        read(forward, Budget("tokens", 10_000), starts=dict.fromkeys(SEQUENCES, 0))
        prefixes = {ids[:length] for ids in SEQUENCES.values() for length in range(1, len(ids) + 1)}
        assert len(prefixes) <= sum(computed) <= sum(map(len, SEQUENCES.values()))
        computed.clear()
        forward._packs = False
        read(forward, Budget("tokens", 10_000), {1: LONG, 2: LONG[:35]}, {1: 38, 2: 34})
        # Padded on the right: from the first position that anybody asks for.
        assert computed == [2 * 6]
    finally:
        handle.remove()


def test_the_hook_on_the_head_is_gone_afterwards(reference: Any, watched: Any) -> None:
    broken = watched(reference)
    forward = Forward(broken, CPU)
    assert forward.packs
    forward.check_padding()
    head = reference.get_output_embeddings()
    read(forward, Budget("tokens", 512))
    broken.refuse = error_above(0, RuntimeError("no"))
    with pytest.raises(RuntimeError):
        read(forward, Budget("tokens", 512))
    assert not head._forward_pre_hooks


def test_nothing_asked_nothing_read(reference: Any) -> None:
    assert list(Forward(reference, CPU).read({}, {}, Budget("tokens", 512))) == []
