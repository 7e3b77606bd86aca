"""The model of a run: once in llmaudit's engine, once as its peers use it, from one folder and in one data type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.files import local_folder
from llmaudit.engines.hf.loading import DTYPES
from llmaudit.engines.hf.quiet import quiet
from llmaudit.engines.models import resolve

__all__ = ["Models", "Peer", "load_models"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A model and its tokenizer as a notebook has them."""

    model: Any
    """Its generation configuration has no end token: every completion runs to its limit at no cost."""
    tokenizer: Any
    """Pads on the left."""
    ends: tuple[int, ...]
    """The end tokens that the model came with."""
    start: int
    """What stands before a text that nothing precedes."""


@dataclass(frozen=True, slots=True)
class Models:
    """What the contenders of a job work with."""

    engine: HFEngine
    peer: Peer
    folder: Path
    dtype: str
    device: str


def load_models(name: str, dtype: str) -> Models:
    """Load what `name` stands for, in a data type of llmaudit's `--dtype`. Raises ModelError."""
    engine = HFEngine(EngineOptions(name, dtype=dtype))
    picked, device = str(engine.info.facts["sampling_dtype"]), str(engine.info.device)
    folder = local_folder(resolve(name, {}))
    return Models(engine, _load_peer(folder, picked, device), folder, picked, device)


def _load_peer(folder: Path, dtype: str, device: str) -> Peer:
    causal: Any = AutoModelForCausalLM
    with quiet():
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left", local_files_only=True)
        model = causal.from_pretrained(folder, dtype=DTYPES[dtype], local_files_only=True).to(torch.device(device))
    config = model.generation_config
    listed = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    ends = tuple(sorted({int(token) for token in (*listed, tokenizer.eos_token_id) if token is not None}))
    config.eos_token_id = None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    config.pad_token_id = tokenizer.pad_token_id
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    return Peer(model.eval(), tokenizer, ends, int(start))
