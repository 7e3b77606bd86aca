"""The decode loop where memory runs out: nothing lost, nothing doubled, nothing changed; and prompts read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.hf.cache import KVRows
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.generation import Decoded, Decoder, Job
from llmaudit.engines.hf.memory import NO_MEMORY, Budget
from llmaudit.engines.hf.noise import row_key
from llmaudit.types import Completion, Generate, Request, Sampling

pytestmark = pytest.mark.usefixtures("quick_release")

CPU = torch.device("cpu")
PROMPTS: tuple[tuple[int, ...], ...] = ((5, 9, 2), (7,), (5, 9, 2, 8, 1, 1, 3), tuple(range(20, 50)), (4, 4, 4))
ERRORS = (torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory"))
Refusal = Callable[[dict[str, Any]], BaseException | None]


def job(index: int, prompt: tuple[int, ...], sample: int, tokens: int) -> Job:
    return Job(index, prompt, Sampling(temperature=0.9, max_new_tokens=tokens), row_key(0, str(prompt), sample))


#: Seven samples of each of five prompts, with limits from 1 to 12.
JOBS = [
    job(100 * number + sample, prompt, sample, 1 + (5 * sample + number) % 12)
    for number, prompt in enumerate(PROMPTS)
    for sample in range(7)
]


def decode(
    model: Any, jobs: Sequence[Job], budget: Budget, ends: frozenset[int] = frozenset({0, 7})
) -> dict[int, Decoded]:
    decoder = Decoder(model, ends=ends, tokenizer=None, rows=budget, device=CPU)
    found = [decoded for finished in decoder.run(jobs) for decoded in finished]
    assert Counter(decoded.index for decoded in found) == Counter(job.index for job in jobs)
    return {decoded.index: decoded for decoded in found}


@pytest.fixture(scope="module")
def reference(tiny: Any, llama_folder: Path) -> Any:
    return tiny.reference(llama_folder)


@pytest.fixture(scope="module")
def expected(reference: Any) -> dict[int, Decoded]:
    return decode(reference, JOBS, Budget("rows", 64))


def in_prefill(rows: int, error: BaseException) -> Refusal:
    return lambda inputs: error if inputs["input_ids"].shape[1] > 1 and inputs["input_ids"].shape[0] > rows else None


def in_a_step(rows: int, error: BaseException) -> Refusal:
    return lambda inputs: error if inputs["input_ids"].shape[1] == 1 and inputs["input_ids"].shape[0] > rows else None


def anywhere(rows: int, error: BaseException) -> Refusal:
    return lambda inputs: error if inputs["input_ids"].shape[0] > rows else None


@pytest.mark.parametrize("error", ERRORS, ids=["accelerator", "cpu"])
@pytest.mark.parametrize(
    ("place", "rows"),
    [(in_prefill, 1), (in_prefill, 3), (in_a_step, 3), (in_a_step, 10), (anywhere, 1), (anywhere, 10)],
)
def test_full_memory_changes_no_completion(
    reference: Any, watched: Any, expected: dict[int, Decoded], place: Any, rows: int, error: BaseException
) -> None:
    model = watched(reference, place(rows, error))
    budget = Budget("rows", 32)
    assert decode(model, JOBS, budget) == expected
    if place is in_prefill:
        # Five prompts at most are read at a time: sixteen rows may hold three of them.
        assert budget.value >= rows
    else:
        assert rows / 2 < budget.value <= rows
    assert (budget.remark is None) == (budget.value == 32)


@pytest.mark.parametrize("halfway", [False, True])
@pytest.mark.parametrize("rows", [1, 6])
def test_full_memory_while_rows_join_changes_no_completion(
    reference: Any, expected: dict[int, Decoded], monkeypatch: pytest.MonkeyPatch, rows: int, halfway: bool
) -> None:
    usual = KVRows.join

    def join(self: KVRows, other: KVRows) -> None:
        full = self.rows + other.rows > rows
        if halfway or not full:
            usual(self, other)
        if full:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(KVRows, "join", join)
    budget = Budget("rows", 16)
    assert decode(reference, JOBS, budget) == expected
    assert rows / 2 < budget.value <= rows


@pytest.mark.parametrize("call", range(0, 33, 4))
def test_memory_that_is_short_once_changes_no_completion(
    reference: Any, watched: Any, expected: dict[int, Decoded], call: int
) -> None:
    model = watched(reference)
    refused: list[int] = []

    def refuse(inputs: dict[str, Any]) -> BaseException | None:
        if len(model.inputs) == call and not refused:
            refused.append(call)
            return torch.OutOfMemoryError("CUDA out of memory.")
        return None

    model.refuse = refuse
    budget = Budget("rows", 8)
    assert decode(model, JOBS, budget) == expected
    assert refused == [call]
    assert budget.value == 4


def test_memory_that_is_short_again_and_again_changes_no_completion(
    reference: Any, watched: Any, expected: dict[int, Decoded]
) -> None:
    # The last halving leaves one row, which fits.
    model = watched(reference)
    calls = iter(range(10_000))
    model.refuse = lambda inputs: (
        torch.OutOfMemoryError("no") if next(calls) % 7 == 6 and inputs["input_ids"].shape[0] > 1 else None
    )
    budget = Budget("rows", 64)
    assert decode(model, JOBS, budget) == expected
    assert budget.value < 8


def columns_above(columns: int) -> Refusal:
    def refuse(inputs: dict[str, Any]) -> BaseException | None:
        return torch.OutOfMemoryError("CUDA out of memory.") if inputs["attention_mask"].shape[1] > columns else None

    return refuse


def test_what_does_not_fit_alone_fails_alone(reference: Any, watched: Any, expected: dict[int, Decoded]) -> None:
    # Room for twelve columns: the prompt of thirty never fits, and one of seven not with all of its completion.
    budget, jobs = Budget("rows", 16), JOBS[::2]
    prompts = {job.index: job.prompt for job in jobs}
    found = decode(watched(reference, columns_above(12)), jobs, budget)
    failed = {index for index, decoded in found.items() if decoded.finish == "memory"}
    # The last token drawn is not read any more.
    assert failed == {index for index in prompts if len(prompts[index]) + expected[index].drawn - 1 > 12}
    assert failed > {index for index, prompt in prompts.items() if len(prompt) == 30}
    for index in prompts:
        memory = Decoded(index, (), "memory", 0)
        assert found[index] == (memory if index in failed else expected[index])
    # What does not fit even alone says nothing of the others.
    assert budget.value > 1


def test_a_failed_completion_is_a_failure_of_its_request(
    tiny: Any, llama: HFEngine, llama_folder: Path, watched: Any
) -> None:
    asked: list[Request] = [
        Generate("women are known for their work and men are known", "c", Sampling(max_new_tokens=4)),
        *(Generate("The", "c", Sampling(max_new_tokens=4), sample) for sample in range(5)),
    ]
    usual = dict(llama.run(asked))
    engine = tiny.engine(llama_folder, batch_size=4)
    list(engine.run(asked[1:2]))
    engine._sampler = watched(engine._sampler, columns_above(9))
    found = dict(engine.run(asked))
    assert found.pop(0) == NO_MEMORY
    assert isinstance(usual.pop(0), Completion)
    assert found == usual
    assert engine.remarks == ["rows decoded side by side: 1 instead of 4, since the memory ran out"]
    assert tiny.engine(llama_folder, batch_size=4).remarks == [
        "rows decoded side by side: 1 instead of 4, since an earlier run here was out of memory"
    ]


def test_other_errors_pass_through(reference: Any, watched: Any) -> None:
    budget = Budget("rows", 8)
    with pytest.raises(RuntimeError, match="must match"):
        decode(watched(reference, anywhere(0, RuntimeError("sizes must match"))), JOBS, budget)
    assert budget.value == 8


def prefilled(model: Any) -> list[tuple[int, ...]]:
    return [
        tuple(row[mask.bool()].tolist())
        for inputs in model.inputs
        if "past_key_values" in inputs and inputs["input_ids"].shape == inputs["attention_mask"].shape
        for row, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
    ]


@pytest.mark.parametrize("rows", [1, 8, 64])
@pytest.mark.parametrize("prompts", [1, 4])
def test_a_prompt_is_read_once_however_many_batches_its_samples_need(
    reference: Any, watched: Any, rows: int, prompts: int
) -> None:
    jobs = [
        job(1000 * number + sample, PROMPTS[number], sample, 1 + (7 * sample) % 5)
        for number in range(prompts)
        for sample in range(200 // prompts)
    ]
    turned = [jobs[number] for number in torch.randperm(200, generator=torch.Generator().manual_seed(1)).tolist()]
    model = watched(reference)
    found = decode(model, turned, Budget("rows", rows), ends=frozenset())
    assert all(found[job.index].drawn == job.sampling.max_new_tokens for job in jobs)
    assert sorted(prefilled(model)) == sorted(PROMPTS[:prompts])
    assert max(shape[0] for shape in model.shapes) <= rows


def test_a_prompt_is_read_once_even_where_prefills_are_small(
    reference: Any, watched: Any, monkeypatch: pytest.MonkeyPatch, expected: dict[int, Decoded]
) -> None:
    monkeypatch.setattr("llmaudit.engines.hf.prefill._TOKENS", 8)
    model = watched(reference)
    assert decode(model, JOBS, Budget("rows", 20)) == expected
    assert sorted(prefilled(model)) == sorted(PROMPTS)
    assert max(rows * columns for rows, columns in model.shapes if columns > 1) == 30  # the longest, alone
