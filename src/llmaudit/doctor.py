"""What `llmaudit doctor` finds out: the machine, and whether models load and answer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from llmaudit.engines.base import Engine, EngineOptions
from llmaudit.engines.build import build_engine
from llmaudit.environment import describe, free_gpu_memory
from llmaudit.errors import LLMAuditError
from llmaudit.types import Completion, Failure, Generate, ModelInfo, Sampling

if TYPE_CHECKING:
    from llmaudit.engines.hf.requirements import Need, Requirements

__all__ = ["check_memory", "check_model", "machine"]

_GREETING = "Hello, my name is"


def machine(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (fact, value) about hardware and software, in words."""
    import torch  # noqa: F401, PLC0415 - only a loaded torch knows the GPUs

    facts = describe([], folder)
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(folder)
    yield "processor", f"{facts['processor']}, {facts['cores']} cores"
    yield "memory", f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} GiB free"
    yield "disk", f"{disk.free / 2**30:.1f} GiB free here"
    gpus: list[dict[str, Any]] = facts["gpus"]
    for number, gpu in enumerate(gpus):
        yield f"GPU {number}", f"{gpu['name']}, {gpu['memory_gib']} GiB, {free_gpu_memory(number):.1f} GiB free"
    if not gpus:
        yield "GPU", "none that torch can use"
    yield "system", f"{facts['platform']}, Python {facts['python']}"
    yield "packages", ", ".join(f"{name} {version}" for name, version in facts["packages"].items())


def check_memory(options: EngineOptions) -> tuple[bool, list[tuple[str, str]]]:
    """Say what a model needs at each data type, and whether it fits, before it is loaded: (may be loaded, facts)."""
    if options.engine not in {"auto", "hf"}:
        return True, [("memory", f"n/a: the engine {options.engine} holds it elsewhere")]
    from llmaudit.engines.hf.requirements import requirements  # noqa: PLC0415 - an endpoint needs no torch

    try:
        found = requirements(options)
    except LLMAuditError as error:
        return False, [("does not load", str(error))]
    if isinstance(found, str):
        return True, [("memory", f"n/a: {found}")]
    rows = [("memory", f"{_size(found.free)} free on {found.device}")]
    rows += [(need.form, _need(need, found)) for need in found.needs]
    if found.asked.total <= found.free:
        return True, rows
    fitting = [need.form for need in found.needs if need.total <= found.free]
    way = f"in {' or '.join(fitting)} it would fit" if fitting else "it fits in none of these forms"
    refusal = f"{_size(found.asked.total)} as {found.asked.form} do not fit into {_size(found.free)}; {way}"
    return False, [*rows, ("not loaded", refusal)]


def _need(need: Need, found: Requirements) -> str:
    """Weights, the cache of one long text, and the verdict."""
    text = "for a text" if found.context is None else f"for a text of {found.context:,} tokens"
    cache = f"{_size(need.cache)} {text}" if need.cache is not None else f"n/a {text}"
    return f"{_size(need.weights)} of weights, {cache}: {'fits' if need.total <= found.free else 'does not fit'}"


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 0.1 * 2**30 else f"{count / 2**20:.1f} MiB"


def check_model(options: EngineOptions) -> tuple[bool, list[tuple[str, str]]]:
    """Load a model and have it greet: (whether it worked, facts in words). What fails is said with the way out."""
    started = time.perf_counter()
    try:
        engine = build_engine(options)
    except LLMAuditError as error:
        return False, [("does not load", str(error))]
    try:
        facts = list(_facts(engine.info, time.perf_counter() - started))
        answer = _greet(engine)
    except LLMAuditError as error:
        return False, [("does not answer", str(error))]
    finally:
        engine.close()
    if isinstance(answer, Failure):
        return False, [*facts, ("does not answer", answer.error)]
    return True, [*facts, ("says", f"{_GREETING}{answer}")]


def _facts(info: ModelInfo, seconds: float) -> Iterator[tuple[str, str]]:
    yield "loads", f"in {seconds:.1f} s, from {info.resolved}"
    if info.parameters is not None:
        yield "size", f"{info.parameters:,} parameters, {info.dtype}, on {info.device}"
    if info.sha256 is not None:
        yield "weights", f"sha256 {info.sha256}"
    if info.facts:
        yield "facts", ", ".join(f"{name} {value}" for name, value in info.facts.items())


def _greet(engine: Engine) -> str | Failure:
    if Generate not in engine.capabilities:
        return Failure(f"the engine {engine.info.engine} does not generate")
    request = Generate(_GREETING, cluster="doctor", sampling=Sampling(temperature=0, max_new_tokens=16))
    _, response = next(iter(engine.run([request])))
    if isinstance(response, Completion):
        return f" {' '.join(response.text.split())}"
    return response if isinstance(response, Failure) else Failure(f"an unexpected {type(response).__name__}")
