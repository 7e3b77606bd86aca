"""Running out of memory: recognised, answered by half the batch, and remembered for the next run."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from llmaudit.cachedir import cache_folder
from llmaudit.engines.hf.encoding import Ids
from llmaudit.engines.hf.packing import Batch
from llmaudit.types import Failure

__all__ = ["NO_MEMORY", "Budget", "attempt", "in_batches", "is_out_of_memory"]

T = TypeVar("T")

NO_MEMORY = Failure("this needs more memory than the device has, even on its own")

# How the allocators of the CPU and of Apple's GPUs and the CUDA driver say so: they have no error type of their own.
_WORDS = ("can't allocate memory", "not enough memory", "failed to allocate", "out of memory")


class Budget:
    """How much one forward pass may hold; halves when the memory runs out.

    What worked after that is kept in the cache folder under `key`, which names model and machine, so that the next run
    does not run into the same wall.
    """

    def __init__(self, name: str, limit: int, key: str = "") -> None:
        self.name = name
        self.remark: str | None = None
        self._file = cache_folder() / "batch-sizes" / f"{key}.{name}.json" if key else None
        self._limit = limit
        self.value = self._good = min(limit, self._remembered() or limit)
        if self.value < limit:
            self.remark = f"{name}: {self.value} instead of {limit}, since an earlier run here was out of memory"

    def halve(self) -> bool:
        """Go on with half as much, at least 1; False where there is no half left."""
        if self.value <= 1:
            return False
        self.value //= 2
        return True

    def worked(self) -> None:
        """Remember the value at hand where it is a new one."""
        if self.value == self._good:
            return
        self._good = self.value
        self.remark = f"{self.name}: {self.value} instead of {self._limit}, since the memory ran out"
        if self._file is not None:
            with suppress(OSError):  # what cannot be remembered costs another halving
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.write_text(json.dumps(self.value), encoding="ascii")

    def restore(self) -> None:
        """Return to what worked last: one request that does not fit even alone says nothing of the others."""
        self.value = self._good

    def _remembered(self) -> int | None:
        try:
            found = json.loads(_text(self._file))
        except ValueError:
            return None
        return found if type(found) is int and found >= 1 else None


def attempt(work: Callable[[], T]) -> T | None:
    """Return the result, or None where the memory ran out; by then what the attempt held is free again."""
    try:
        return work()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Outside the handler, where the error's traceback would hold the tensors.
    release()
    return None


def in_batches(
    sequences: Mapping[int, Ids],
    budget: Budget,
    batches: Callable[[Mapping[int, Ids], int], Iterator[Batch]],
    work: Callable[[Batch], T],
) -> Iterator[tuple[Batch, T | None]]:
    """Work through batches of at most `budget` tokens, halved where the memory runs out.

    Yields each batch with its result, or with None where a sequence does not fit even alone.
    """
    waiting = dict(sequences)
    while waiting:
        for batch in batches(dict(waiting), budget.value):
            result = attempt(partial(work, batch))
            if result is not None:
                budget.worked()
            elif len(batch.places) > 1 and budget.halve():
                break
            else:
                budget.restore()
            for index in batch.places:
                del waiting[index]
            yield batch, result


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of a forward pass means that memory ran out, on whichever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


def release() -> None:
    """Give unused memory back, so that a smaller batch finds it."""
    gc.collect()
    if torch.accelerator.is_available():
        torch.accelerator.empty_cache()


def _text(file: Path | None) -> str:
    try:
        return file.read_text(encoding="ascii") if file is not None else ""
    except OSError:
        return ""
