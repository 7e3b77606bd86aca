"""Sentence encoders for audits: a folder on disk, checked and hashed before anything runs, loaded when it is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmaudit.engines.hf.files import check_folder, hash_files, hash_weights
from llmaudit.engines.models import Source
from llmaudit.errors import ModelError

__all__ = ["check_encoder", "encode", "encoder_digest"]


def check_encoder(folder: Path) -> None:
    """Raise ValueError where a folder is no sentence encoder: a transformers model with safetensors and a tokenizer."""
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    try:
        check_folder(folder)
    except ModelError as error:
        raise ValueError(str(error)) from None


def encoder_digest(folder: Path) -> str:
    """Return the SHA-256 over an encoder's weights and all that stands beside them, as hexadecimal digits."""
    parts = hash_weights(Source("folder", str(folder)), folder) + hash_files(folder)
    return hashlib.sha256(parts.encode()).hexdigest()


def encode(folder: Path, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return one vector of length 1 per text, shape (texts, dimensions). Raises ModelError for a folder without one."""
    # torch takes seconds to import.
    from llmaudit.engines.hf.sentences import encode_sentences  # noqa: PLC0415

    return encode_sentences(folder, texts)
