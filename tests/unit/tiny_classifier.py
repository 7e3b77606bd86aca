"""A tiny random sequence classifier: a real transformers folder that loads in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from llmaudit.engines.hf.quiet import quiet

__all__ = ["CONTEXT", "save_classifier"]

CONTEXT = 24
SPECIALS = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}


def save_classifier(
    folder: Path, labels: Sequence[str] = ("neutral", "toxic"), model: str = "Bert", **changes: Any
) -> Path:
    """Save a classifier of letters: BERT, or RoBERTa, whose first position is behind that of its padding token."""
    pieces = [*SPECIALS.values(), *"abcdefghijklmnopqrstuvwxyz ."]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token=SPECIALS["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 0), ("[SEP]", 1)])
    padding = vocabulary[SPECIALS["pad_token"]]
    wrapper: Any = transformers.PreTrainedTokenizerFast
    config = getattr(transformers, f"{model}Config")(
        **{
            "vocab_size": len(pieces),
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": CONTEXT + (padding + 1 if model == "Roberta" else 0),
            "pad_token_id": padding,
            "initializer_range": 1.0,
            "id2label": dict(enumerate(labels)),
            "label2id": {label: number for number, label in enumerate(labels)},
            **changes,
        }
    )
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(1)
        getattr(transformers, f"{model}ForSequenceClassification")(config).save_pretrained(folder)
    wrapper(tokenizer_object=tokenizer, **SPECIALS).save_pretrained(folder)
    return folder
