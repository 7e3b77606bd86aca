"""What is counted before a model is loaded is what it takes once it is."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.doctor import check_memory
from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf import requirements as module
from llmaudit.engines.hf.requirements import Requirements, requirements

FORMS = {
    "float32": {"dtype": "float32"},
    "16 bits": {"dtype": "bfloat16"},
    "int8": {"quantization": "int8", "dtype": "float32"},
    "4 bits": {"quantization": "nf4", "dtype": "float32"},
}


def _options(folder: Path, **options: Any) -> EngineOptions:
    return EngineOptions(str(folder), **{"device": "cpu", **options})


def _counted(folder: Path, **options: Any) -> Requirements:
    found = requirements(_options(folder, **options))
    assert isinstance(found, Requirements)
    return found


@pytest.fixture
def folder(request: pytest.FixtureRequest, tiny: Any) -> Path:
    changes = {"Llama": {"tie_word_embeddings": False}, "tied": {"tie_word_embeddings": True}, "GPT2": {}}
    name = str(request.param)
    # Large enough that nothing but the weights counts.
    shape = {"hidden_size": 128, "intermediate_size": 256} if name != "GPT2" else {"n_embd": 128, "n_inner": 256}
    made: Path = tiny.folder(tiny.config(name if name != "tied" else "Llama", **shape, **changes[name]))
    return made


@pytest.mark.parametrize("folder", ["Llama", "tied", "GPT2"], indirect=True)
@pytest.mark.parametrize("form", FORMS)
def test_weights_are_counted_as_they_load(tiny: Any, folder: Path, form: str) -> None:
    if "quantization" in FORMS[form] and importlib.util.find_spec("bitsandbytes") is None:
        pytest.skip("needs bitsandbytes: pip install llmaudit[quantization]")
    (need,) = (need for need in _counted(folder).needs if need.form == form)
    engine = tiny.engine(folder, **FORMS[form])
    try:
        assert need.weights == pytest.approx(engine.footprint().stored_bytes, rel=0.01)
        if "quantization" not in FORMS[form]:
            assert need.weights == engine.footprint().stored_bytes
            assert need.cache == engine.cache_bytes_per_token() * engine.info.facts["context_length"]
    finally:
        engine.close()


def test_no_weight_is_read(llama_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(llama_folder, copy)
    (copy / "model.safetensors").write_bytes(b"no weights at all")
    assert _counted(copy).needs == _counted(llama_folder).needs


def test_what_the_options_ask_for(llama_folder: Path) -> None:
    single, half, *_ = _counted(llama_folder).needs
    assert _counted(llama_folder, dtype="float32").asked == single
    assert _counted(llama_folder, dtype="float16").asked == half
    assert half.weights * 2 == single.weights


def test_a_second_copy_for_sampling_counts(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pick_dtypes", lambda *_: (torch.float32, torch.bfloat16))
    found = _counted(llama_folder)
    assert found.asked.weights == found.needs[0].weights + found.needs[1].weights


def test_what_cannot_be_known_before_is_said(llama_folder: Path, tmp_path: Path) -> None:
    assert requirements(EngineOptions("openai:tiny")) == "the model runs elsewhere"
    assert "not on this machine yet" in str(requirements(EngineOptions("nobody/nothing", device="cpu")))
    copy = tmp_path / "copy"
    shutil.copytree(llama_folder, copy)
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps(config | {"model_type": "of another world"}), encoding="utf-8")
    assert requirements(_options(copy)) == "the configuration does not tell (ValueError)"
    quantized = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    (copy / "config.json").write_text(json.dumps(config | quantized), encoding="utf-8")
    assert requirements(_options(copy)) == "the weights are stored quantized"


def test_the_doctor_says_what_fits(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(free: int, **options: Any) -> tuple[bool, dict[str, str]]:
        monkeypatch.setattr(module, "free_memory", lambda _: free)
        works, facts = check_memory(_options(llama_folder, **options))
        return works, dict(facts)

    single, half, *_ = _counted(llama_folder).needs
    works, facts = told(2**40)
    assert works
    assert facts["memory"] == "1024.00 GiB free on cpu"
    assert facts["float32"].endswith("of weights, 0.0 MiB for a text of 96 tokens: fits")
    works, facts = told(single.total - 1, dtype="float32")
    assert not works
    assert facts["float32"].endswith("does not fit")
    assert facts["16 bits"].endswith(": fits")
    assert "as float32 do not fit into 0.2 MiB; in 16 bits or int8 or 4 bits it would fit" in facts["not loaded"]
    assert told(half.total, dtype="bfloat16")[0]
    works, facts = told(1)
    assert facts["not loaded"].endswith("it fits in none of these forms")


def test_the_doctor_says_where_nothing_is_known() -> None:
    assert check_memory(EngineOptions("openai:tiny")) == (True, [("memory", "n/a: the model runs elsewhere")])
    works, [(name, why)] = check_memory(EngineOptions("nosuch"))
    assert (works, name) == (False, "does not load")
    assert "no model 'nosuch'" in why
