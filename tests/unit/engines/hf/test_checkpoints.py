"""Variants that are files of their own: quantized folders and GGUF files, against what is counted in the files."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
import transformers
from safetensors.torch import load_file

from llmaudit.audit import Measurement
from llmaudit.audits.fidelity import Fidelity
from llmaudit.engines.base import EngineOptions, Variant
from llmaudit.engines.hf import checkpoint
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.loading import load_model
from llmaudit.engines.hf.quiet import quiet
from llmaudit.errors import ModelError
from llmaudit.execution import Execution

compressed_tensors = pytest.mark.skipif(
    importlib.util.find_spec("compressed_tensors") is None,
    reason="needs compressed-tensors: pip install llmaudit[quantization]",
)
bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="needs bitsandbytes: pip install llmaudit[quantization]"
)
#: Wide enough for groups of 64 weights.
WIDE = {"hidden_size": 64, "intermediate_size": 128}
#: Weights of the matrices of two layers: queries and outputs, keys and values, and three of the middle.
WEIGHTS = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128)
DOCUMENTS = [
    "The students had read the book twice, and said so.",
    "The older adults on the crew went home after the shift.",
    "Women are known for their work, and men are known for theirs.",
]


@pytest.fixture(scope="module")
def full(tiny: Any) -> Path:
    """A folder of full weights."""
    return Path(tiny.folder(tiny.config(**WIDE)))


@pytest.fixture(scope="module")
def packed(tiny: Any, full: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in four bits, in groups of 64, as the library compressed-tensors itself writes them."""
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationArgs,
        QuantizationConfig,
        QuantizationScheme,
        apply_quantization_config,
    )
    from compressed_tensors.quantization.utils import calculate_qparams

    folder, model = tmp_path_factory.mktemp("packed"), tiny.reference(full)
    four_bits = QuantizationArgs(num_bits=4, group_size=64, symmetric=True)
    scheme = QuantizationScheme(targets=["Linear"], weights=four_bits)
    with quiet():
        apply_quantization_config(model, QuantizationConfig(config_groups={"all": scheme}, ignore=["lm_head"]))
        for module in model.modules():
            if hasattr(module, "weight_scale"):
                groups = module.weight.data.unflatten(1, (-1, 64))
                module.weight_scale.data, _ = calculate_qparams(groups.amin(-1), groups.amax(-1), four_bits)
        compressor = ModelCompressor.from_pretrained_model(model)
        compressor.compress_model(model)
        model.save_pretrained(folder)
        compressor.update_config(str(folder))
        tiny.byte_level().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def q8(tiny: Any, full: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama.cpp file of the same shapes: matrices and embeddings in Q8_0, norms in float32."""
    file, config, tokenizer = tmp_path_factory.mktemp("q8") / "tiny.gguf", tiny.config(**WIDE), tiny.byte_level()
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get))
    writer.add_token_merges(
        [" ".join(pair) for pair in json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]]
    )
    writer.add_eos_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in load_file(full / "model.safetensors").items():
        kind = gguf.GGMLQuantizationType.Q8_0 if tensor.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(str(names.get_name(name, (".weight",))), gguf.quantize(tensor.numpy(), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def compared(reference: HFEngine, variants: dict[str, dict[str, str]]) -> Measurement:
    """Run the audit as a suite does, on real models."""
    params = {"kind": "fidelity", "documents": DOCUMENTS, "variants": variants, "checks": {"kl_mean": {"max": 1}}}
    audit = Fidelity(Fidelity.Params.model_validate(params), scorers={})

    def engine_of(variant: Variant) -> HFEngine:
        model = variant.model or reference.info.name
        return HFEngine(
            EngineOptions(model, device="cpu", dtype=variant.dtype or "auto", quantization=variant.quantization)
        )

    return audit.run(Execution(reference, lambda _: reference, lambda *_: None, engine_of=engine_of))[0]


def value(found: Measurement, metric: str) -> float:
    return found.estimates[metric].value


def stored_in(folder: Path) -> int:
    tensors = load_file(folder / "model.safetensors").values()
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@compressed_tensors
@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_compressed_tensors_is_compared_as_the_library_reads_it(
    tiny: Any, full: Path, packed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The library's own full weights, saved as any other model.
    with quiet():
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(packed, dtype=torch.float32)
        model(torch.zeros((1, 1), dtype=torch.int64))
        plain = tiny.reference(full)
        plain.load_state_dict({name: model.state_dict()[name] for name in plain.state_dict()})
    plain.save_pretrained(tmp_path)
    tiny.byte_level().save_pretrained(tmp_path)
    capfd.readouterr()
    found = compared(tiny.engine(full), {"ct": {"model": str(packed)}, "plain": {"model": str(tmp_path)}})
    assert capfd.readouterr().err == ""
    assert value(found, "kl_mean.ct") == pytest.approx(value(found, "kl_mean.plain"), rel=1e-5)
    assert value(found, "kl_mean.ct") > 1e-4
    assert value(found, "stored_bytes.ct") == stored_in(packed)
    # A scale of float32 for 64 weights, and the shape of each of the 14 matrices in two integers of 64 bits.
    assert value(found, "bits_per_weight.ct") == pytest.approx(4 + 32 / 64 + 14 * 128 / WEIGHTS)
    # On a processor the library computes with full weights: those, and the scales, are really held.
    assert value(found, "allocated_bytes.ct") == pytest.approx(value(found, "allocated_bytes.plain"), rel=0.03)
    assert value(found, "allocated_bytes.ct") > value(found, "allocated_bytes.plain")


@compressed_tensors
@pytest.mark.filterwarnings("ignore")
def test_a_quantized_folder_is_recorded_as_what_it_is(tiny: Any, full: Path, packed: Path) -> None:
    engine, plain = tiny.engine(packed), tiny.engine(full)
    assert engine.info.quantization == "compressed-tensors"
    # Neither is a packed number one parameter, nor is a scale any.
    assert engine.info.parameters == engine.footprint().parameters == plain.info.parameters
    assert engine.anatomy().parts == plain.anatomy().parts


@bitsandbytes
@pytest.mark.filterwarnings("ignore")
def test_a_folder_saved_by_bitsandbytes_is_what_it_makes_while_loading(tiny: Any, full: Path, tmp_path: Path) -> None:
    engine = tiny.engine(full, quantization="nf4")
    engine._loaded.model.save_pretrained(tmp_path)
    tiny.byte_level().save_pretrained(tmp_path)
    found = compared(tiny.engine(full), {"saved": {"model": str(tmp_path)}, "made": {"quantization": "nf4"}})
    assert value(found, "kl_mean.saved") == pytest.approx(value(found, "kl_mean.made"), rel=1e-3)
    for size in ("bits_per_weight", "stored_bytes", "allocated_bytes"):
        assert value(found, f"{size}.saved") == pytest.approx(value(found, f"{size}.made"), rel=0.02), size
    assert tiny.engine(tmp_path).info.quantization == "bitsandbytes"


def test_a_gguf_is_stored_as_its_file_says_and_held_in_full(q8: Path, tiny: Any) -> None:
    reference = tiny.engine(q8)
    variants = {"file": {"model": str(q8)}, "half": {"model": str(q8), "dtype": "bfloat16"}}
    found = compared(reference, variants)
    assert value(found, "kl_mean.file") == value(found, "log_perplexity_ratio.file") == 0
    # A scale of float16 for 32 weights of 8 bits.
    assert value(found, "bits_per_weight.file") == value(found, "bits_per_weight.reference") == 8.5
    matrices = WEIGHTS + 2 * 300 * 64  # embeddings and head
    norms = 5 * 64
    assert value(found, "stored_bytes.file") == matrices * 8.5 / 8 + norms * 4
    assert value(found, "allocated_bytes.file") == pytest.approx(4 * (matrices + norms), rel=0.01)
    # As asked for in another data type it is no longer what the file stores.
    assert value(found, "bits_per_weight.half") == 16
    assert value(found, "stored_bytes.half") == 2 * (matrices + norms)


def stamped(folder: Path, target: Path, method: dict[str, Any]) -> Path:
    """A copy of a folder whose configuration says that its weights are quantized."""
    shutil.copytree(folder, target)
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    (target / "config.json").write_text(json.dumps({**config, "quantization_config": method}), encoding="utf-8")
    return target


def without(*names: str) -> Callable[[str], ModuleSpec | None]:
    return lambda name: None if name in names else importlib.util.find_spec(name)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("gptq", "quantized by gptq, which optimum and gptqmodel read: python -m pip install optimum gptqmodel"),
        ("awq", "quantized by awq, which gptqmodel reads: python -m pip install gptqmodel"),
        (
            "compressed-tensors",
            "quantized by compressed-tensors, which compressed-tensors reads: python -m pip install compressed-tensors",
        ),
    ],
)
def test_a_folder_that_lacks_its_package_is_skipped_and_the_others_go_on(
    tiny: Any, full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, message: str
) -> None:
    monkeypatch.setattr(checkpoint, "find_spec", without("optimum", "gptqmodel", "compressed_tensors"))
    folder = stamped(full, tmp_path / "lacking", {"quant_method": method, "bits": 4, "group_size": 32})
    found = compared(tiny.engine(full), {"lacking": {"model": str(folder)}, "half": {"dtype": "bfloat16"}})
    assert found.estimates["kl_mean.lacking"].problem == f"{folder}: its weights are {message}"
    assert value(found, "kl_mean.half") > 0


@pytest.mark.parametrize("quantization", ["rtn3", "nf4"])
def test_weights_are_not_quantized_twice(full: Path, tmp_path: Path, quantization: str) -> None:
    folder = stamped(full, tmp_path / "gptq", {"quant_method": "gptq", "bits": 4})
    with pytest.raises(ModelError, match=rf"quantized already \(gptq\); --quantization {quantization} needs"):
        load_model(EngineOptions(str(folder), device="cpu", quantization=quantization))
