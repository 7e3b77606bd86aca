"""A model in memory, or the reason why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.loading import load_model, load_tokenizer, pick_device, tokenizer_facts
from llmaudit.errors import ModelError

NO_GPU = not torch.accelerator.is_available()


def options(folder: Path, **changes: Any) -> EngineOptions:
    return EngineOptions(str(folder), **{"device": "cpu", **changes})


def test_what_the_run_records_of_a_model(tiny: Any, llama_folder: Path) -> None:
    loaded = load_model(options(llama_folder))
    info = loaded.info
    assert (info.name, info.resolved, info.engine) == (str(llama_folder), llama_folder.name, "hf")
    assert info.parameters == sum(weights.numel() for weights in loaded.model.parameters())
    assert (info.dtype, info.device, info.quantization, info.revision) == ("float32", "cpu", None, None)
    assert len(info.sha256 or "") == 64
    assert info.facts["vocabulary_size"] == tiny.vocabulary
    assert info.facts["context_length"] == tiny.context
    assert (info.facts["architecture"], info.facts["layers"], info.facts["hidden_size"]) == ("llama", 2, 32)
    assert not loaded.model.training


def test_the_same_facts_of_an_older_architecture(tiny: Any, gpt2_folder: Path) -> None:
    facts = load_model(options(gpt2_folder)).info.facts
    assert (facts["architecture"], facts["context_length"], facts["layers"]) == ("gpt2", tiny.context, 2)


@pytest.mark.parametrize(
    ("asked", "dtype"), [("auto", "float32"), ("float32", "float32"), ("bfloat16", "bfloat16"), ("float16", "float16")]
)
def test_data_types(tiny: Any, asked: str, dtype: str) -> None:
    # On a CPU `auto` is float32 whatever the file holds: likelihoods in bfloat16 move with the batch.
    config = tiny.config()
    model: Any = transformers.AutoModelForCausalLM
    folder = tiny.folder(model.from_config(config, dtype=torch.bfloat16))
    loaded = load_model(options(folder, dtype=asked))
    assert loaded.info.dtype == dtype
    assert {weights.dtype for weights in loaded.model.parameters()} == {getattr(torch, dtype)}


def test_an_unknown_data_type(llama_folder: Path) -> None:
    message = "--dtype int7: not a data type; say auto, float32, bfloat16, float16"
    with pytest.raises(ModelError, match=message):
        load_model(options(llama_folder, dtype="int7"))


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    with pytest.raises(ModelError, match="--device toaster: not a device; say auto, cpu, cuda, cuda:1, mps or xpu"):
        pick_device("toaster")
    with pytest.raises(ModelError, match="--device cuda:99: this machine has no such device; `llmaudit doctor`"):
        pick_device("cuda:99")


@pytest.mark.skipif(not NO_GPU, reason="this machine has an accelerator")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "xpu"])
def test_devices_that_are_not_here(name: str, llama_folder: Path) -> None:
    assert pick_device("auto") == torch.device("cpu")
    with pytest.raises(ModelError, match=f"--device {name}: this machine has no such device"):
        load_model(options(llama_folder, device=name))


def test_an_encoder_decoder_is_refused(tiny: Any) -> None:
    shape = {"d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
    config: Any = transformers.T5Config(vocab_size=tiny.vocabulary, **shape)  # type: ignore[arg-type]
    model: Any = transformers.T5ForConditionalGeneration
    folder = tiny.folder(model(config))
    with pytest.raises(ModelError, match="t5 is an encoder-decoder; llmaudit audits causal language models"):
        load_model(options(folder))


def test_an_encoder_is_refused(tiny: Any) -> None:
    # BERT loads as a causal model, and answers from a head that was never trained for it, or not at all.
    config: Any = transformers.BertConfig(
        vocab_size=tiny.vocabulary,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    model: Any = transformers.BertForMaskedLM
    folder = tiny.folder(model(config))
    with pytest.raises(ModelError, match="causal"):
        load_model(options(folder))


def test_a_tokenizer_of_another_model_is_refused(tiny: Any) -> None:
    folder = tiny.folder(tiny.config(vocab_size=200))
    with pytest.raises(
        ModelError, match="the tokenizer has 300 tokens and the model 200 embeddings: they do not belong"
    ):
        load_model(options(folder))


def test_a_padded_vocabulary_is_no_mismatch(tiny: Any) -> None:
    assert load_model(options(tiny.folder(tiny.config(vocab_size=320)))).info.facts["vocabulary_size"] == 300


def test_weights_that_lack_a_tensor_are_refused(tiny: Any) -> None:
    # transformers fills what is missing with random numbers, and says so where nobody looks.
    folder = tiny.folder()
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="up_proj"):
        load_model(options(folder))


def test_tied_weights_lack_nothing(tiny: Any) -> None:
    folder = tiny.folder(tiny.config(tie_word_embeddings=True))
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    assert load_model(options(folder)).info.parameters


def test_weights_of_another_shape_are_refused(tiny: Any) -> None:
    folder = tiny.folder()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(ModelError, match="the model does not load"):
        load_model(options(folder))


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"\xff" * 4096], ids=["empty", "zeros", "ones"])
def test_damaged_weights_are_refused(tiny: Any, content: bytes) -> None:
    folder = tiny.folder()
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="the model does not load"):
        load_model(options(folder))


def test_truncated_weights_are_refused(tiny: Any) -> None:
    folder = tiny.folder()
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="the model does not load"):
        load_model(options(folder))


@pytest.mark.parametrize("content", ["{", '{"model_type": "no-such-architecture"}', "{}"])
def test_a_configuration_that_cannot_be_used(tiny: Any, content: str) -> None:
    folder = tiny.folder()
    (folder / "config.json").write_text(content)
    with pytest.raises(ModelError, match=folder.name):
        load_model(options(folder))


@pytest.mark.parametrize("content", ["{", "{}", ""])
def test_a_tokenizer_that_cannot_be_used(tiny: Any, content: str) -> None:
    folder = tiny.folder()
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match="the tokenizer does not load"):
        load_tokenizer(folder)


def test_remote_code_is_never_run(tiny: Any, tmp_path: Path) -> None:
    folder = tiny.folder()
    witness = tmp_path / "ran"
    (folder / "code.py").write_text(f"open({str(witness)!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    changes = {"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine", "AutoModelForCausalLM": "code.Mine"}}
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(ModelError, match="config"):
        load_model(options(folder))
    assert not witness.exists()


def test_an_unknown_quantization(llama_folder: Path) -> None:
    with pytest.raises(ModelError, match="--quantization int3: not known; say int8, nf4, fp4"):
        load_model(options(llama_folder, quantization="int3"))


def test_quantization_says_what_it_needs(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(ModelError, match=r"--quantization nf4 needs bitsandbytes: .*llmaudit\[quantization\]"):
        load_model(options(llama_folder, quantization="nf4"))


def test_facts_of_tokenizers(tiny: Any) -> None:
    plain = tokenizer_facts(tiny.byte_level())
    assert (plain["vocabulary_size"], plain["special_tokens"]) == (300, 1)
    assert (plain["adds_start_token"], plain["chat_template"]) == (0, 0)
    assert plain["eos_token"] == tiny.end
    started = tokenizer_facts(tiny.byte_fallback(chat_template=tiny.chat))
    assert (started["adds_start_token"], started["chat_template"], started["special_tokens"]) == (1, 1, 3)


def test_loading_says_nothing(tiny: Any, capfd: pytest.CaptureFixture[str]) -> None:
    # Bars and warnings of libraries would tear the live progress line.
    folder = tiny.folder()
    capfd.readouterr()
    load_model(options(folder))
    assert capfd.readouterr() == ("", "")
