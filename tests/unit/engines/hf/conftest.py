"""Tiny random models with a tiny trained tokenizer: real transformers folders that load in milliseconds."""

from __future__ import annotations

import os

# Before huggingface_hub is imported: no test of this folder may reach for a network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.quiet import quiet

VOCABULARY = 300
CONTEXT = 96
END = "<|endoftext|>"
CORPUS = (
    "In most offices, women are known for their work and men are known for theirs.",
    "The teacher said that the students in the room had read the book twice.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "When the shift ended, the older adults on the crew went home; the young people stayed.",
)
CHAT = (
    "{% for m in messages %}<|endoftext|>{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def _wrapped(tokenizer: Tokenizer, **specials: str) -> Any:
    wrapper: Any = transformers.PreTrainedTokenizerFast
    return wrapper(tokenizer_object=tokenizer, **specials)


def byte_level(*, unknown: str | None = END) -> Any:
    """Train a byte-level BPE such as GPT-2's, whose unknown token is its end token, or which has none."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
        ),
    )
    return _wrapped(tokenizer, eos_token=END, **({"unk_token": unknown} if unknown else {}))


def byte_fallback() -> Any:
    """Build a character-level BPE with Metaspace and byte fallback, such as SentencePiece's of Llama 2 and Gemma."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["▁", *dict.fromkeys("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,éäöüß")]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A $B", [("<s>", 1)])
    return _wrapped(tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


class Save(Protocol):
    """Saves a model and a tokenizer; what they are differs between tests."""

    def __call__(self, config: Any, tokenizer: Any = None, *, name: str = ...) -> Path: ...


def llama_config(**changes: Any) -> Any:
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        # Larger than usual, so that the next token is neither certain nor a coin toss.
        "initializer_range": 0.3,
        "bos_token_id": None,
        "eos_token_id": 0,
        "pad_token_id": None,
    }
    return transformers.LlamaConfig(**(settings | changes))


def gpt2_config(**changes: Any) -> Any:
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": CONTEXT,
        "initializer_range": 0.3,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    return transformers.GPT2Config(**(settings | changes))
