"""Running out of memory: recognised on every device, remembered for the next run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llmaudit.engines.hf.memory import Budget, is_out_of_memory

MPS = (
    "MPS backend out of memory (MPS allocated: 17.98 GB, other allocations: 384.00 KB, max allowed: 18.13 GB). Tried to"
    " allocate 288.00 MB on private pool. Use PYTORCH_MPS_HIGH_WATERMARK_RATIO=0.0 to disable upper limit for memory"
    " allocations (may cause system failure)."
)


def memory_file(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "cache").rglob("*.json")
    return file


def halved(key: str) -> None:
    budget = Budget("rows", 64, key)
    budget.halve()
    budget.worked()


def test_a_budget_halves_down_to_one() -> None:
    budget = Budget("rows", 9)
    assert (budget.value, budget.remark) == (9, None)
    values = []
    while budget.halve():
        values.append(budget.value)
    assert values == [4, 2, 1]
    assert not budget.halve()
    assert (budget.value, budget.remark) == (1, None)
    budget.worked()
    assert budget.remark == "rows: 1 instead of 9, since the memory ran out"


def test_a_budget_returns_to_what_worked(tmp_path: Path) -> None:
    budget = Budget("rows", 64, "key")
    budget.halve()
    budget.worked()
    while budget.halve():
        pass
    budget.restore()
    assert (budget.value, budget.remark) == (32, "rows: 32 instead of 64, since the memory ran out")
    assert Budget("rows", 64, "key").value == 32


def test_a_budget_is_remembered_under_its_key_and_name(tmp_path: Path) -> None:
    budget = Budget("rows", 64, "key")
    assert not (tmp_path / "cache").exists()
    budget.halve()
    budget.halve()
    budget.worked()
    again = Budget("rows", 64, "key")
    assert (again.value, again.remark) == (16, "rows: 16 instead of 64, since an earlier run here was out of memory")
    for other in (Budget("rows", 64, "another key"), Budget("tokens", 64, "key"), Budget("rows", 64)):
        assert (other.value, other.remark) == (64, None)
    # Whoever asks for less gets it, and without a remark.
    assert (Budget("rows", 16, "key").value, Budget("rows", 16, "key").remark) == (16, None)
    assert (Budget("rows", 2, "key").value, Budget("rows", 2, "key").remark) == (2, None)


def test_a_budget_without_a_key_writes_nothing(tmp_path: Path) -> None:
    halved("")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "damaged", [b"", b"{", b"32 rows", b"0", b"-4", b"3.5", b"null", b"true", b'"8"', b"[8]", b"\xff\xfe8\x00", b"\0"]
)
def test_a_damaged_memory_is_ignored_and_written_anew(tmp_path: Path, damaged: bytes) -> None:
    halved("key")
    memory_file(tmp_path).write_bytes(damaged)
    budget = Budget("rows", 64, "key")
    assert (budget.value, budget.remark) == (64, None)
    budget.halve()
    budget.worked()
    assert Budget("rows", 64, "key").value == 32


def test_a_memory_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    # A file where the folder would be: whoever runs the tests as root could write anywhere else.
    (tmp_path / "cache").write_text("a file")
    budget = Budget("rows", 64, "key")
    assert budget.halve()
    assert budget.halve()
    budget.worked()
    assert budget.value == 16
    assert Budget("rows", 64, "key").value == 64


def test_a_memory_that_cannot_be_read_is_done_without(tmp_path: Path) -> None:
    halved("key")
    file = memory_file(tmp_path)
    file.unlink()
    file.mkdir()
    budget = Budget("rows", 64, "key")
    assert budget.value == 64
    assert budget.halve()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"
            " allocate 4503599627370496 bytes. Error code 12 (Cannot allocate memory)"
        ),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: not enough memory: you tried to"),
        RuntimeError(MPS),
        RuntimeError("CUDA error: out of memory"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "windows", "mps", "cuda driver", "python"],
)
def test_out_of_memory_is_recognised(error: BaseException) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("The size of tensor a (64) must match the size of tensor b (32) at non-singleton dimension 1"),
        RuntimeError("CUDA error: device-side assert triggered"),
        ValueError("can't allocate memory"),
        IndexError("index out of range in self"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_other_errors_are_not_taken_for_it(error: BaseException) -> None:
    assert not is_out_of_memory(error)


def test_what_this_torch_says_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert is_out_of_memory(caught.value)
