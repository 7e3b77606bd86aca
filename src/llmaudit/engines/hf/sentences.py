"""Sentence encoders through transformers: texts to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer

from llmaudit.engines.hf.files import check_folder
from llmaudit.engines.hf.quiet import quiet
from llmaudit.errors import ModelError

__all__ = ["encode_sentences"]

_BATCH = 64
#: Tokens that a text is cut to: what small encoders were trained on, and more than an answer of an audit has.
_LONGEST = 256


def encode_sentences(folder: Path, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return one vector of length 1 per text, shape (texts, hidden size).

    It is the mean of the last layer over the tokens of a text (Reimers and Gurevych 2019, section 3), normalised. On
    the CPU and in float32, so that the same texts give the same vectors on every machine but for rounding. Raises
    ModelError where the folder holds no encoder that is safe to load.
    """
    check_folder(folder)
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            model = AutoModel.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"{folder}: no sentence encoder that can be loaded ({error})") from None
    if tokenizer.pad_token is None or model.config.is_encoder_decoder:
        raise ModelError(f"{folder}: no sentence encoder: it has a decoder, or a tokenizer that cannot pad")
    model.eval()
    # Texts of like length share a batch, and none is encoded twice. A set has another order in every process.
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    rows: dict[str, NDArray[np.float64]] = {}
    for start in range(0, len(distinct), _BATCH):
        batch = distinct[start : start + _BATCH]
        rows |= dict(zip(batch, _encode(model, tokenizer, batch), strict=True))
    return np.stack([rows[text] for text in texts]) if texts else np.zeros((0, model.config.hidden_size))


@torch.inference_mode()
def _encode(model: Any, tokenizer: Any, texts: list[str]) -> NDArray[np.float64]:
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt")
    states = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None].to(states.dtype)
    means = (states * mask).sum(dim=1) / mask.sum(dim=1)
    found: NDArray[np.float64] = torch.nn.functional.normalize(means, dim=1).to(torch.float64).numpy()
    return found
