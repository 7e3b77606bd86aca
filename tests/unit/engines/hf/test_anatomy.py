"""What models tell of their build, against sizes counted by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.anatomy import Anatomy
from llmaudit.engines.base import Anatomical
from llmaudit.engines.hf.anatomy import read_text
from llmaudit.engines.hf.engine import HFEngine

# Width 32, 4 heads of 8 that share 2 of keys and values, 64 inside the MLP, 2 layers, 300 tokens.
ATTENTION = 2 * (32 * 32 + 2 * 32 * 16 + 32 * 32)
MLP = 2 * 3 * 32 * 64
NORM = 32 * (2 * 2 + 1)

#: By architecture: what is special about the configuration, and what its card says.
CARDS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "Llama": ({}, {"attention": "grouped-query: 4 heads share 2", "positions": "rotary", "activation": "silu"}),
    "GPT2": (
        {},
        {
            "attention": "multi-head: 4 heads with keys and values of their own",
            "positions": "learned embeddings",
            "activation": "gelu_new",
            "normalisation": "LayerNorm",
        },
    ),
    "OPT": ({"ffn_dim": 64, "word_embed_proj_dim": 32}, {"positions": "learned embeddings", "activation": "relu"}),
    "GPTNeoX": ({}, {"positions": "rotary", "attention window": "the whole text"}),
    "Gemma3Text": (
        {"head_dim": 8, "sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]},
        {"attention window": "64 tokens in 1 of 2 layers", "activation": "gelu_pytorch_tanh"},
    ),
    "Bloom": ({"max_position_embeddings": None}, {"positions": "linear biases (ALiBi)"}),
    "Mixtral": ({"num_local_experts": 4, "num_experts_per_tok": 2}, {"experts": "4, of which a token uses 2"}),
    "Falcon": (
        {"multi_query": True, "new_decoder_architecture": False, "alibi": True},
        {"attention": "multi-query: 4 heads share one", "positions": "linear biases (ALiBi)"},
    ),
}


@pytest.fixture(scope="module")
def tied(tiny: Any) -> HFEngine:
    engine: HFEngine = tiny.engine(tiny.folder(tiny.config(tie_word_embeddings=True)))
    return engine


def told(tiny: Any, name: str, changes: dict[str, Any]) -> tuple[HFEngine, Anatomy]:
    engine = tiny.engine(tiny.folder(tiny.config(name, **changes)))
    return engine, engine.anatomy()


def test_an_untied_model_counts_its_head(llama: HFEngine) -> None:
    found = llama.anatomy()
    assert isinstance(llama, Anatomical)
    assert found.parts == {
        "embedding": 9600,
        "attention": ATTENTION,
        "mlp": MLP,
        "norm": NORM,
        "head": 9600,
        "other": 0,
    }
    assert not found.tied_weights
    assert found.parameters == found.trainable == llama.info.parameters
    sizes = (found.layers, found.heads, found.kv_heads, found.head_size, found.hidden_size)
    assert sizes == (2, 4, 2, 8, 32)
    assert (found.vocabulary_size, found.context_length) == (300, 96)


def test_a_tied_model_counts_the_shared_matrix_once(tied: HFEngine) -> None:
    found = tied.anatomy()
    assert found.tied_weights
    assert (found.parts["embedding"], found.parts["head"]) == (9600, 0)
    assert found.parameters == tied.info.parameters


def test_gpt2_by_hand(gpt2: HFEngine) -> None:
    found = gpt2.anatomy()
    assert found.tied_weights
    assert found.parts == {
        "embedding": (300 + 96) * 32,
        "attention": 2 * (32 * 96 + 96 + 32 * 32 + 32),
        "mlp": 2 * (2 * 32 * 64 + 64 + 32),
        "norm": 2 * 32 * (2 * 2 + 1),
        "head": 0,
        "other": 0,
    }
    assert (found.kv_heads, found.head_size) == (4, 8)


@pytest.mark.parametrize("name", ["llama", "gpt2", "tied"])
def test_the_bytes_allocated_are_those_of_the_parameters(request: pytest.FixtureRequest, name: str) -> None:
    found = request.getfixturevalue(name).anatomy()
    # Beside them lie a few frequencies of rotary positions.
    assert 4 * found.parameters <= found.allocated_bytes <= 4 * found.parameters + 200


def test_half_the_bits_are_half_the_bytes(tiny: Any, llama_folder: Path) -> None:
    engine = tiny.engine(llama_folder, dtype="bfloat16")
    found = engine.anatomy()
    assert 2 * found.parameters <= found.allocated_bytes <= 2 * found.parameters + 200
    assert found.cache_bytes_computed == engine.cache_bytes_per_token() == 2 * 2 * 2 * 8 * 2


@pytest.mark.parametrize("name", ["llama", "gpt2", "tied"])
def test_the_cache_takes_what_the_formula_says(request: pytest.FixtureRequest, name: str) -> None:
    engine = request.getfixturevalue(name)
    computed = engine.anatomy().cache_bytes_computed
    assert computed == 2 * 2 * (4 if name == "gpt2" else 2) * 8 * 4
    assert engine.cache_bytes_per_token() == pytest.approx(computed, rel=0.02)


@pytest.mark.parametrize("name", CARDS)
def test_parts_add_up_and_the_card_tells_what_the_architecture_is(tiny: Any, name: str) -> None:
    changes, card = CARDS[name]
    engine, found = told(tiny, name, changes)
    assert sum(found.parts.values()) == found.parameters == engine.info.parameters
    assert min(found.parts[part] for part in ("embedding", "attention", "mlp", "norm")) > 0
    assert card.items() <= found.card.items()
    assert engine.cache_bytes_per_token() is not None


def test_a_window_keeps_fewer_tokens_than_the_formula_says(tiny: Any) -> None:
    window = {"head_dim": 8, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
    engine, found = told(tiny, "Gemma3Text", window)
    # One of two layers keeps 7 of the 96 tokens, in the room of 8.
    assert found.cache_bytes_computed == 2 * 2 * 2 * 8 * 4
    assert engine.cache_bytes_per_token() == pytest.approx(found.cache_bytes_computed * (96 + 8) / (2 * 96))


def test_parameters_without_a_known_name_are_other(tiny: Any, llama_folder: Path) -> None:
    engine = tiny.engine(llama_folder)
    engine._loaded.model.register_parameter("novelty", torch.nn.Parameter(torch.zeros(5)))
    assert engine.anatomy().parts["other"] == 5


def test_frozen_parameters_are_not_trainable(tiny: Any, llama_folder: Path) -> None:
    engine = tiny.engine(llama_folder)
    engine._loaded.model.get_input_embeddings().weight.requires_grad_(requires_grad=False)
    found = engine.anatomy()
    assert found.parameters - found.trainable == 9600


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize(("quantization", "bits"), [("nf4", 4.5), ("int8", 8.0)])
def test_packed_weights_count_as_what_they_stand_for(
    tiny: Any, llama_folder: Path, llama: HFEngine, quantization: str, bits: float
) -> None:
    full, packed = llama.anatomy(), tiny.engine(llama_folder, quantization=quantization).anatomy()
    assert packed.parts == full.parts
    assert packed.trainable == full.parameters - ATTENTION - MLP
    saved = (ATTENTION + MLP) * (32 - bits) / 8
    # int8 keeps a scale per row, four bits a codebook that all matrices may share.
    assert full.allocated_bytes - saved <= packed.allocated_bytes <= full.allocated_bytes - saved + 6000


def test_special_tokens_and_their_roles(llama: HFEngine, tiny: Any) -> None:
    (only,) = llama.anatomy().special_tokens
    assert (only.text, only.id, only.ids) == (tiny.end, 0, (0,))
    assert "eos_token" in only.roles


def test_a_special_token_that_the_tokenizer_does_not_know_as_one_is_cut(tiny: Any) -> None:
    tokenizer = tiny.byte_level(split_special_tokens=True)
    engine = tiny.engine(tiny.folder(None, tokenizer))
    (only,) = engine.anatomy().special_tokens
    assert only.ids != (only.id,)


def test_the_tokenizer_alone_puts_one_start_token(tiny: Any) -> None:
    assert read_text(tiny.byte_fallback(), "some words").start_tokens == 1
    assert read_text(tiny.byte_level(), "some words").start_tokens == 0
    twice = read_text(tiny.byte_fallback(), "<s>some words")
    assert twice.start_tokens == 2


def test_a_template_that_keeps_the_text(tiny: Any) -> None:
    found = read_text(tiny.byte_level(chat_template=tiny.chat), "Zwölf Boxkämpfer\n jagen")
    assert found.chat_lossless
    assert found.chat_start_tokens == 0


@pytest.mark.parametrize(
    ("template", "starts", "again"),
    [("<s>{{ messages[0]['content'] }}", 1, 2), ("<s><s>{{ messages[0]['content'] }}", 2, 3)],
)
def test_start_tokens_of_template_and_tokenizer_add_up(tiny: Any, template: str, starts: int, again: int) -> None:
    found = read_text(tiny.byte_fallback(chat_template=template), "some words")
    assert (found.start_tokens, found.chat_start_tokens, found.retokenized_start_tokens) == (1, starts, again)


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[0]['content'] | upper }}",
        "{{ messages[0]['content'] | truncate(4) }}",
        "{{ raise_exception('no') }}",
    ],
)
def test_a_template_that_loses_the_text_or_refuses(tiny: Any, template: str) -> None:
    assert read_text(tiny.byte_level(chat_template=template), "some longer words").chat_lossless is False


def test_a_text_that_the_tokenizer_cannot_spell_is_not_lossless(tiny: Any) -> None:
    tokenizer = tiny.word_level()
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    assert read_text(tokenizer, "the dog sleeps").chat_lossless is False


def test_without_a_template_nothing_is_said_of_it(tiny: Any) -> None:
    found = read_text(tiny.byte_level(), "some words")
    assert (found.chat_lossless, found.chat_start_tokens, found.retokenized_start_tokens) == (None, None, None)
