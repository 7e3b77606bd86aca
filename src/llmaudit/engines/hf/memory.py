"""Running out of memory: recognised, answered by half the batch, and remembered for the next run."""

from __future__ import annotations

import gc
import json
from contextlib import suppress
from pathlib import Path

import torch

from llmaudit.cachedir import cache_folder

__all__ = ["Budget", "is_out_of_memory", "release"]

# How the allocators of the CPU and of Apple's GPUs and the CUDA driver say so: they have no error type of their own.
_WORDS = ("can't allocate memory", "not enough memory", "failed to allocate", "out of memory")


class Budget:
    """How much one forward pass may hold; halves when the memory runs out.

    What worked last is kept in the cache folder under `key`, which names model and machine, so that the next run does
    not run into the same wall.
    """

    def __init__(self, name: str, limit: int, key: str = "") -> None:
        self.name = name
        self.remark: str | None = None
        self._file = cache_folder() / "batch-sizes" / f"{key}.{name}.json" if key else None
        self._limit = limit
        self.value = min(limit, self._remembered() or limit)
        if self.value < limit:
            self.remark = f"{name}: {self.value} instead of {limit}, since an earlier run here was out of memory"

    def halve(self) -> bool:
        """Go on with half as much, at least 1; False where there is no half left."""
        if self.value <= 1:
            return False
        self.value //= 2
        self.remark = f"{self.name}: {self.value} instead of {self._limit}, since the memory ran out"
        if self._file is not None:
            with suppress(OSError):  # what cannot be remembered costs another halving
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.write_text(json.dumps(self.value), encoding="ascii")
        return True

    def _remembered(self) -> int | None:
        try:
            found = json.loads(_text(self._file))
        except ValueError:
            return None
        return found if type(found) is int and found >= 1 else None


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
