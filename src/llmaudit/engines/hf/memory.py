"""Running out of memory: recognised, answered by half the batch, and remembered for the next run."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch

from llmaudit.cachedir import cache_folder
from llmaudit.engines.hf.encoding import Ids
from llmaudit.engines.hf.packing import Batch
from llmaudit.types import Failure

__all__ = [
    "NO_MEMORY",
    "Budget",
    "allocated",
    "attempt",
    "free_memory",
    "give_freed_pages_back",
    "in_batches",
    "is_out_of_memory",
    "keep_freed_pages",
    "release",
]

T = TypeVar("T")

NO_MEMORY = Failure("this needs more memory than the device has, even on its own")

#: What a container may use, and uses: the machine's free memory says nothing of it.
_CONTAINER = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
# Parameters of mallopt(3): how much may lie free at the end of the heap, and how many pieces are mapped on their own.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_KEPT = 2**31 - 1
# What the C library begins with.
_TRIMMED, _MAPPED = 128 * 1024, 65536

# How the allocators of the CPU and of Apple's GPUs and the CUDA driver say so: they have no error type of their own.
_WORDS = (
    *("can't allocate memory", "cannot allocate memory", "not enough memory", "failed to allocate", "out of memory"),
    "alloc_failed",
)


class Budget:
    """How much one forward pass may hold; halves when the memory runs out.

    What worked after that is kept in the cache folder under `key`, which names model and machine, so that the next run
    does not run into the same wall.
    """

    def __init__(self, name: str, limit: int, key: str = "") -> None:
        self._name = name
        self.remark: str | None = None
        self._file = cache_folder() / "batch-sizes" / f"{key}.{limit}-{name.split(maxsplit=1)[0]}.json" if key else None
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
        self.remark = f"{self._name}: {self.value} instead of {self._limit}, since the memory ran out"
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
    """Return the result, or None where the memory ran out; what nobody but the attempt held is free again by then."""
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
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


def keep_freed_pages() -> None:
    """Let the C library keep what it has freed: every batch asks for the same hundreds of megabytes again.

    Given back and fetched anew, their pages cost a tenth of the time of a pass over texts. Does nothing where the C
    library is not GNU's.
    """
    _tell_allocator(trim_threshold=_KEPT, mmap_max=0)


def give_freed_pages_back() -> None:
    """Have the C library do again what it does by itself, for as long as a model is loaded.

    A quantizer frees every weight that it has read; kept, all of them were in memory with those that it makes.
    """
    _tell_allocator(trim_threshold=_TRIMMED, mmap_max=_MAPPED)


def _tell_allocator(trim_threshold: int, mmap_max: int) -> None:
    library: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(library, "mallopt"):
        library.mallopt(_TRIM_THRESHOLD, trim_threshold)
        library.mallopt(_MMAP_MAX, mmap_max)


def release() -> None:
    """Give unused memory back, to the system and on every device, so that a smaller batch or another model finds it."""
    gc.collect()
    _free_product_buffers()
    library: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
    device = torch.accelerator.current_accelerator(check_available=True)
    if device is not None:
        # torch.accelerator.empty_cache knows no Apple GPU.
        getattr(torch, device.type).empty_cache()


def _free_product_buffers() -> None:
    """Have MKL free what it keeps for its next product: tens of megabytes, by the size of the largest matrix."""
    library = Path(torch.__file__).with_name("lib") / "libtorch_cpu.so"
    if sys.platform == "linux" and library.is_file():
        # Loaded long since: this is a handle to it. The name is that of mkl_free_buffers inside the library.
        free = getattr(ctypes.CDLL(str(library)), "mkl_serv_free_buffers", None)
        if free is not None:
            free()


def allocated() -> int:
    """Bytes of tensors on the first CUDA device; 0 where there is none, or where it does not tell."""
    return int(torch.cuda.memory_allocated()) if torch.cuda.is_available() else 0


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device; of one that does not tell, those of the machine, or of its container."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no container, or one without a limit
        most, used = (int(file.read_text(encoding="ascii")) for file in _CONTAINER)
        free = min(free, most - used)
    return free


def _text(file: Path | None) -> str:
    try:
        return file.read_text(encoding="ascii") if file is not None else ""
    except OSError:
        return ""
