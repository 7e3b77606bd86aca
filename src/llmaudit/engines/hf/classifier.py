"""A sequence classifier in memory: texts in, one probability per label out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification

from llmaudit.engines.hf.encoding import Ids
from llmaudit.engines.hf.files import check_folder
from llmaudit.engines.hf.loading import load_tokenizer, pick_device
from llmaudit.engines.hf.memory import Budget, in_batches
from llmaudit.engines.hf.packing import Batch, padded_batches
from llmaudit.engines.hf.quiet import quiet
from llmaudit.errors import ModelError

__all__ = ["SequenceClassifier", "load_classifier"]

#: Tokens read at a time. On a CPU larger batches are no faster, on an accelerator they are.
_CPU_TOKENS, _ACCELERATOR_TOKENS = 2**11, 2**15
#: A tokenizer that knows no limit says 10**30.
_NO_LIMIT = 10**9


class SequenceClassifier:
    """Any model with a sequence classification head, in float32."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        """Load a model folder. Raises ModelError."""
        check_folder(folder)
        self._tokenizer = load_tokenizer(folder)
        self._model = _read(folder).to(device).eval()
        self._device = device
        self._pad = _padding(folder, self._model.config, self._tokenizer)
        tokens = _CPU_TOKENS if device.type == "cpu" else _ACCELERATOR_TOKENS
        self._budget = Budget("tokens classified at a time", tokens)
        self.labels = tuple(str(label) for _, label in sorted(self._model.config.id2label.items()))
        self.max_length = _longest(self._model, self._tokenizer)
        """How many tokens of a text are read."""

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Classify texts, those of one length together: (probabilities of shape (texts, labels), which were cut).

        Of labels that exclude each other the probabilities add up to 1; of labels that do not, each has its own. Raises
        ModelError where a text does not fit into memory even alone.
        """
        found = np.zeros((len(texts), len(self.labels)))
        encoded = self._encode(texts)
        sequences = {index: ids for index, (ids, _) in enumerate(encoded)}
        for batch, rows in in_batches(sequences, self._budget, padded_batches, self._classify):
            if rows is None:
                raise ModelError("a classifier that scores answers needs more memory than the device has")
            for index, (row, _) in batch.places.items():
                found[index] = rows[row]
        return found, np.array([cut for _, cut in encoded], dtype=np.bool_)

    def _encode(self, texts: Sequence[str]) -> list[tuple[Ids, bool]]:
        with quiet():  # a text beyond the limit is counted by us
            whole = self._tokenizer(list(texts))["input_ids"] if texts else []
            cut = [len(ids) > self.max_length for ids in whole]
            for place, text in enumerate(texts):
                if cut[place]:
                    whole[place] = self._tokenizer(text, truncation=True, max_length=self.max_length)["input_ids"]
        return [(tuple(ids) or (self._pad,), was_cut) for ids, was_cut in zip(whole, cut, strict=True)]

    def _classify(self, batch: Batch) -> NDArray[np.float64]:
        mask = batch.inputs["attention_mask"].to(self._device)
        # Some models count positions by where the padding token is, or read the last token that is none.
        ids = batch.inputs["input_ids"].to(self._device).masked_fill(mask == 0, self._pad)
        logits = (
            self._model(input_ids=ids, attention_mask=mask).logits.float().cpu().double()
        )  # Apple's GPUs know no float64
        alone = self._model.config.problem_type == "multi_label_classification" or len(self.labels) == 1
        rows: NDArray[np.float64] = (logits.sigmoid() if alone else logits.softmax(-1)).numpy()
        return rows


@lru_cache(maxsize=4)
def load_classifier(folder: Path, device: str = "auto") -> SequenceClassifier:
    """Return the classifier of a folder, loaded once per process: several labels share it. Raises ModelError."""
    return SequenceClassifier(folder, pick_device(device))


def _read(folder: Path) -> Any:
    auto: Any = AutoModelForSequenceClassification
    try:
        with quiet():
            model, told = auto.from_pretrained(
                folder,
                dtype=torch.float32,
                trust_remote_code=False,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ModelError(f"{folder}: the classifier does not load ({first})") from None
    if missing := sorted(told["missing_keys"]):
        # transformers would fill them with random numbers: that is how a model without a classification head looks.
        raise ModelError(f"{folder}: the weights lack {missing[0]}; is it a sequence classifier?")
    if model.config.problem_type == "regression":
        raise ModelError(f"{folder}: this model predicts a number; a classifier with labels is needed")
    return model


def _padding(folder: Path, config: Any, tokenizer: Any) -> int:
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else config.pad_token_id
    if pad is None:
        raise ModelError(f"{folder}: there is no padding token; set tokenizer.pad_token and save the tokenizer again")
    config.pad_token_id = pad
    return int(pad)


def _longest(model: Any, tokenizer: Any) -> int:
    """Return how many tokens the model can read, special ones included."""
    limits = [tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None)]
    for name, module in model.named_modules():
        # RoBERTa and its relatives count positions from after the padding token's.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            limits.append(module.num_embeddings - module.padding_idx - 1)
    return min((int(limit) for limit in limits if limit and limit < _NO_LIMIT), default=_NO_LIMIT)
