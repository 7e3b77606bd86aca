"""Model folders and GGUF files: found, checked, hashed, or refused with the way out."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from llmaudit.cachedir import cache_folder
from llmaudit.engines.hf import files
from llmaudit.engines.hf.files import check_folder, hash_weights, local_folder
from llmaudit.engines.models import Source
from llmaudit.errors import ModelError
from llmaudit.types import Completion, Generate, Sampling


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What check_folder looks for, and nothing in it."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}", encoding="ascii")
    return folder


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    """A well-formed GGUF file that holds no language model."""
    file = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_tensor("a", np.arange(4096, dtype=np.float32))
    writer.add_tensor("b", np.arange(4096, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def convert(file: Path) -> Path:
    return local_folder(Source("gguf", str(file)))


def test_a_whole_folder_is_taken_as_it_is(folder: Path) -> None:
    assert local_folder(Source("folder", str(folder))) == folder


def test_a_folder_that_is_no_model(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"model: not a model folder \(there is no config\.json\)"):
        local_folder(Source("folder", str(folder)))
    # A tokenizer alone needs none.
    check_folder(folder, weights=False)


def test_a_folder_without_a_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    for weights in (True, False):
        with pytest.raises(ModelError, match=r"there is no tokenizer .* tokenizer\.save_pretrained\(folder\)"):
            check_folder(folder, weights=weights)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"])
def test_every_kind_of_tokenizer_file_will_do(folder: Path, name: str) -> None:
    (folder / "tokenizer.json").rename(folder / name)
    check_folder(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "model.pt", "model.pth"])
def test_pickled_weights_are_refused(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(
        ModelError, match=rf"the weights are pickled only \({name}\); loading a pickle can run any code"
    ):
        check_folder(folder)


def test_pickled_weights_beside_safe_ones_do_no_harm(folder: Path) -> None:
    (folder / "pytorch_model.bin").touch()
    check_folder(folder)


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"there are no weights \(no \.safetensors file\)"):
        check_folder(folder)
    check_folder(folder, weights=False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"this is a text and no model, whatever its name says",
        b"GGUF",
        b"GGUF\x03\x00\x00\x00",
        b"GGUF\x03\x00\x00\x00" + b"\xff" * 64,
        b"GGUF\x63\x00\x00\x00" + b"\x00" * 64,
        b"GGUF\x03\x00\x00\x00" + b"\x00" * 16,
        b"\x00" * 4096,
    ],
    ids=repr,
)
def test_a_file_that_is_no_gguf(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "odd.gguf"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"odd\.gguf: (not a readable GGUF file, or a truncated one|truncated)"):
        convert(file)
    assert not list(cache_folder().glob("gguf/*"))


@pytest.mark.parametrize("share", [0.999, 0.6, 0.3, 0.02, 0.01, 0.003])
def test_a_truncated_gguf_is_refused_before_it_is_converted(gguf_file: Path, share: float) -> None:
    content = gguf_file.read_bytes()
    gguf_file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=r"truncated.*; fetch it again"):
        convert(gguf_file)


def test_a_gguf_that_transformers_cannot_read(gguf_file: Path) -> None:
    with pytest.raises(ModelError, match="transformers cannot read this GGUF"):
        convert(gguf_file)
    assert not list(cache_folder().glob("gguf/*"))  # no half of a model is left behind


def test_a_gguf_is_converted_once_per_content(
    gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    converted: list[str] = []

    def dequantise(file: Path, scratch: Path) -> None:
        converted.append(file.name)
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            (scratch / name).write_text(file.name, encoding="ascii")

    monkeypatch.setattr(files, "_dequantise", dequantise)
    first = convert(gguf_file)
    assert first.parent == cache_folder() / "gguf"
    assert first.name.startswith("tiny-")
    assert convert(gguf_file) == first
    copy = tmp_path / "elsewhere" / "tiny.gguf"
    copy.parent.mkdir()
    copy.write_bytes(gguf_file.read_bytes())
    assert convert(copy) == first
    assert converted == ["tiny.gguf"]
    changed = bytearray(gguf_file.read_bytes())
    changed[-1] ^= 1
    copy.write_bytes(changed)
    assert convert(copy) != first
    assert converted == ["tiny.gguf", "tiny.gguf"]


def test_a_conversion_that_breaks_leaves_nothing_behind(gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dequantise(_: Path, scratch: Path) -> None:
        (scratch / "config.json").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_dequantise", dequantise)
    with pytest.raises(KeyboardInterrupt):
        convert(gguf_file)
    assert not list((cache_folder() / "gguf").iterdir())


def test_the_hash_of_a_folder_is_that_of_its_weights_in_order(folder: Path) -> None:
    (folder / "a.safetensors").write_bytes(b"first")
    expected = hashlib.sha256(b"first" + (folder / "model.safetensors").read_bytes()).hexdigest()
    assert hash_weights(Source("folder", str(folder)), folder) == expected


def test_the_hash_of_a_gguf_is_that_of_the_file(gguf_file: Path, folder: Path) -> None:
    expected = hashlib.sha256(gguf_file.read_bytes()).hexdigest()
    assert hash_weights(Source("gguf", str(gguf_file)), folder) == expected


def test_a_hash_is_remembered_by_place_size_and_time(folder: Path) -> None:
    source, weights = Source("folder", str(folder)), folder / "model.safetensors"
    os.utime(weights, ns=(1, 1))
    first = hash_weights(source, folder)
    # Other content that looks the same from outside: had the file been read again, the hash would have changed.
    weights.write_bytes(b"x" * weights.stat().st_size)
    os.utime(weights, ns=(1, 1))
    assert hash_weights(source, folder) == first


def test_a_hash_changes_with_the_content(folder: Path) -> None:
    source, weights = Source("folder", str(folder)), folder / "model.safetensors"
    first = hash_weights(source, folder)
    weights.write_bytes(b"other")
    assert hash_weights(source, folder) != first
    # The same size and another time of change.
    second = hash_weights(source, folder)
    weights.write_bytes(b"OTHER")
    os.utime(weights, ns=(1, 1))
    assert hash_weights(source, folder) != second
    (folder / "more.safetensors").write_bytes(b"x")
    third = hash_weights(source, folder)
    (folder / "more.safetensors").unlink()
    assert third != hash_weights(source, folder)


def test_a_cache_that_cannot_be_written_only_costs_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A container's read-only home must not keep a good model from loading. (A file in the way stops even root.)
    (tmp_path / "file").touch()
    monkeypatch.setenv("LLMAUDIT_CACHE", str(tmp_path / "file" / "cache"))
    expected = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert hash_weights(Source("folder", str(folder)), folder) == expected


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMAUDIT_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("LLMAUDIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "llmaudit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "llmaudit"


@pytest.mark.parametrize("weights", [True, False])
def test_a_hub_model_without_a_network_says_what_to_type_instead(tmp_path: Path, *, weights: bool) -> None:
    # In a process of its own: huggingface_hub reads its environment when it is imported.
    code = (
        "from llmaudit.engines.hf.files import local_folder; from llmaudit.engines.models import Source;"
        "from llmaudit.errors import ModelError\n"
        f"try: local_folder(Source('hub', 'nobody/no-model'), weights={weights})\n"
        "except ModelError as error: print(error)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "nobody/no-model: not in the local hub cache, and the hub cannot be reached" in done.stdout
    assert "hf download nobody/no-model" in done.stdout
    assert "path of a model folder or .gguf file" in done.stdout


def test_a_hub_model_in_the_local_cache_needs_no_network(tmp_path: Path, folder: Path) -> None:
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    folder.rename(snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40, encoding="ascii")
    code = (
        "from llmaudit.engines.hf.files import local_folder; from llmaudit.engines.models import Source;"
        "print(local_folder(Source('hub', 'org/name')))"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == str(snapshot)


def test_a_saved_model_is_one(tiny: Any, llama_folder: Path) -> None:
    check_folder(llama_folder)
    assert torch.__version__
    assert len(hash_weights(Source("folder", str(llama_folder)), llama_folder)) == 64


@pytest.fixture
def real_gguf(tmp_path: Path, tiny: Any) -> tuple[Path, np.ndarray[Any, np.dtype[np.float32]]]:
    """A GGUF file that holds a whole tiny model with its tokenizer, and its embeddings."""
    config, rng = tiny.config(), np.random.default_rng(0)
    file = tmp_path / "whole.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    model = json.loads(tiny.byte_level().backend_tokenizer.to_str())["model"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(model["vocab"], key=model["vocab"].get))
    writer.add_token_merges([" ".join(merge) for merge in model["merges"]])
    writer.add_eos_token_id(0)
    hidden, inner, keys = config.hidden_size, config.intermediate_size, config.hidden_size // 2
    shapes = {
        "token_embd": (config.vocab_size, hidden),
        "output": (config.vocab_size, hidden),
        "output_norm": (hidden,),
    }
    for layer in range(config.num_hidden_layers):
        block = {"attn_norm": (hidden,), "ffn_norm": (hidden,), "attn_q": (hidden, hidden), "attn_k": (keys, hidden)}
        block |= {"attn_v": (keys, hidden), "attn_output": (hidden, hidden), "ffn_gate": (inner, hidden)}
        block |= {"ffn_up": (inner, hidden), "ffn_down": (hidden, inner)}
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    tensors = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, tensor in tensors.items():
        writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file, tensors["token_embd"]


def test_a_gguf_becomes_a_model_that_answers(real_gguf: tuple[Path, Any], tiny: Any) -> None:
    file, embeddings = real_gguf
    engine = tiny.engine(file)
    assert engine.info.resolved == "whole.gguf"
    assert engine.info.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    ((_, found),) = engine.run([Generate("The women", "c", Sampling(temperature=0, max_new_tokens=4))])
    assert isinstance(found, Completion)
    (folder,) = (cache_folder() / "gguf").iterdir()
    stored = load_file(folder / "model.safetensors")
    assert torch.equal(stored["model.embed_tokens.weight"], torch.tensor(embeddings))
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}


def test_a_conversion_says_nothing(real_gguf: tuple[Path, Any], capfd: pytest.CaptureFixture[str]) -> None:
    # Bars of libraries would tear the live progress line, which says that the model is being loaded.
    convert(real_gguf[0])
    assert capfd.readouterr() == ("", "")
