"""One launch: a process that loads a model, runs workloads with the clock, writes what it saw, and ends.

    python -m llmaudit.engines.hf.launch SPEC OUTCOME

reads a LaunchSpec from one file and writes an Outcome to the other, both as JSON. It begins when it reads a line from
its standard input, and ends when that is closed. `llmaudit.performance.running` starts it; nobody else needs to.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import psutil
import torch
import transformers.modeling_layers

# Now, so that loading a model is not charged with importing its library: what all architectures share.
import transformers.modeling_utils  # noqa: F401

from llmaudit.engines.hf.anatomy import shape_of
from llmaudit.engines.hf.ceilings import measure_ceilings
from llmaudit.engines.hf.devices import Device, open_device
from llmaudit.engines.hf.files import local_folder
from llmaudit.engines.hf.footprint import allocated_tensors
from llmaudit.engines.hf.largest import find_largest, has_room
from llmaudit.engines.hf.loading import ReadModel, pick_device, read_model
from llmaudit.engines.hf.memory import attempt
from llmaudit.engines.hf.timing import Prompts, Stopwatch, cache_sizes, time_workload
from llmaudit.engines.host import Watch
from llmaudit.engines.launches import (
    READY,
    LaunchFailure,
    LaunchResult,
    LaunchSpec,
    Outcome,
    Timed,
    Workload,
    beyond_context,
)
from llmaudit.engines.models import resolve
from llmaudit.engines.quantization import BITSANDBYTES
from llmaudit.errors import ModelError

__all__ = ["launch", "main"]

_UNSTEADY = "the last runs of the warm-up still differed by more than 5 %"
_LIFELONG = "This system cannot forget a peak of memory: what is called the peak includes loading."


def launch(spec: LaunchSpec, imported: float) -> Outcome:
    """Run one launch in this process, which took `imported` seconds to import what it needs."""
    if spec.threads is not None:
        # Before the first product: the pool of threads is made with it.
        torch.set_num_threads(spec.threads)
    try:
        place = pick_device(spec.options.device)
        # Fetched or converted now: that happens once, and is no part of loading.
        folder = local_folder(resolve(spec.options.model, spec.options.aliases), spec.options.revision)
        device = open_device(place)
        # Before anything of ours runs there: what is in use is in use by others.
        busy, memory = device.busy(), {"imported": device.memory()}
        started = time.perf_counter()
        read = read_model(folder, place, spec.options)
        device.synchronise()
        loaded = time.perf_counter() - started
    except ModelError as error:
        return LaunchFailure(spec.arm, spec.number, "refused", str(error))
    memory["loaded"] = device.memory()
    if why := _refusal(spec, read.context):
        return LaunchFailure(spec.arm, spec.number, "refused", why)
    return _Loaded(spec, read, device, place, _Start(imported, loaded, memory, busy)).run()


@dataclass(frozen=True, slots=True)
class _Start:
    """How the process began."""

    import_seconds: float
    load_seconds: float
    memory: Mapping[str, Mapping[str, int | None]]
    busy: float | None
    """Share of the accelerator that others used, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A launch whose model is loaded."""

    spec: LaunchSpec
    read: ReadModel
    device: Device
    place: torch.device
    start: _Start

    def run(self) -> Outcome:
        """Time the workloads, then do what else is asked; each of that comes after the peak was read."""
        spec, model = self.spec, self.read.model
        watch = Stopwatch(model, self.place, self.device)
        prompts = Prompts(self.read.tokenizer, int(model.get_input_embeddings().weight.shape[0]), spec.seed)
        forgotten, others = self.device.reset_peak(), Watch()
        timed, unfit = self._time(watch, prompts)
        busy, peak = others.others(), self.device.peak()
        if unfit and not timed:
            names = ", ".join(workload.name for workload in unfit)
            why = f"{names}: more than the memory of {self.place} holds"
            return LaunchFailure(spec.arm, spec.number, "no memory", why)
        weights = sum(tensor.untyped_storage().nbytes() for tensor in allocated_tensors(model))
        ceilings = partial(measure_ceilings, self.device, self.place, self.read.dtype, weights)
        return LaunchResult(
            arm=spec.arm,
            number=spec.number,
            import_seconds=self.start.import_seconds,
            load_seconds=self.start.load_seconds,
            timed=timed,
            unfit=unfit,
            memory={**self.start.memory, "peak": peak},
            parameters=int(model.num_parameters()),
            parameter_bytes=weights,
            cache=cache_sizes(watch, prompts, spec.cache_lengths) if spec.cache_lengths else (),
            shape=shape_of(model),
            largest=find_largest(watch, prompts, spec.largest) if spec.largest else None,
            ceilings=attempt(ceilings) if spec.ceilings else None,
            busy_before=self.start.busy,
            busy=busy,
            others=self.device.others(),
            facts={**self.device.facts(), "dtype": str(self.read.dtype).removeprefix("torch.")},
            remarks=tuple(self._remarks(timed, unfit, forgotten=forgotten)),
        )

    def _time(self, watch: Stopwatch, prompts: Prompts) -> tuple[tuple[Timed, ...], tuple[Workload, ...]]:
        """Return the workloads that fit, with their times, and those that do not."""
        spec, shape = self.spec, shape_of(self.read.model)
        timed: list[Timed] = []
        unfit: list[Workload] = []
        for workload in spec.workloads:
            work = partial(time_workload, watch, prompts, workload, spec.repetitions, spec.warm_ups)
            found = attempt(work) if has_room(self.device, self.place, shape, workload) else None
            if found is None:
                unfit.append(workload)
            else:
                timed.append(found)
        return tuple(timed), tuple(unfit)

    def _remarks(self, timed: Sequence[Timed], unfit: Sequence[Workload], *, forgotten: bool) -> Iterator[str]:
        for workload in unfit:
            yield f"{workload.name} does not fit the memory of {self.place}"
        for each in timed:
            if not each.steady:
                yield f"{each.workload.name}: {_UNSTEADY}"
        if not forgotten:
            yield _LIFELONG
        if self.spec.largest and self.place.type != "cuda" and not forgotten:
            yield "No search for the largest batch: without a peak of memory nothing would guard it."


def _refusal(spec: LaunchSpec, context: int | None) -> str | None:
    """Why the workloads cannot be asked of a model that reads `context` tokens."""
    asked = [*spec.workloads, *([spec.largest] if spec.largest else [])]
    reasons = [why for workload in asked if (why := beyond_context(workload, context))]
    if context is not None and max(spec.cache_lengths, default=0) > context:
        reasons.append(f"a cache of {max(spec.cache_lengths)} tokens; the model reads {context} at most")
    return reasons[0] if reasons else None


def main(arguments: Sequence[str]) -> None:
    """Read the spec, run the launch, write the outcome: all of it, or nothing."""
    asked, answered = map(Path, arguments)
    spec = LaunchSpec.from_json(asked.read_text(encoding="utf-8"))
    if spec.options.quantization in BITSANDBYTES:
        # A second that is no part of loading; where it is missing, loading says so.
        with suppress(ImportError):
            import_module("bitsandbytes")
    imported = time.time() - psutil.Process().create_time()
    answered.with_suffix(READY).touch()
    if not _said():
        return
    threading.Thread(target=_end_with_parent, daemon=True).start()
    outcome = launch(spec, imported)
    scratch = answered.with_suffix(".part")
    scratch.write_text(outcome.to_json(), encoding="utf-8")
    scratch.replace(answered)


def _said() -> bool:
    """Wait for a word on the standard input; False where it was closed. Not by `sys.stdin`, whose lock outlives us."""
    return bool(os.read(0, 64))


def _end_with_parent() -> None:
    """End where whoever waits for the outcome has gone: nothing may go on timing behind their back."""
    while _said():
        pass
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
    # The outcome is on the disk; to take torch down in order would cost another second.
    os._exit(0)
