"""A model that is closed leaves the memory as it was, so that the next one finds it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

#: After a first model, which pays for imports and thread pools, loads a large one three times; prints what the process
#: holds before, while it works and after it is closed: resident set, unique set, and taken of the accelerator.
MEASURE = """
import json, sys

import psutil, torch

torch.set_num_threads(1)

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.types import Embed, Failure, Generate, NextToken, Sampling, Score

small, large, device = sys.argv[1:]


def memory():
    held = psutil.Process().memory_full_info()
    taken = 0
    if device != "cpu":
        free, total = torch.cuda.mem_get_info()
        taken = total - free
    return {"rss": held.rss, "uss": held.uss, "device": taken}


def use(folder):
    engine = HFEngine(EngineOptions(folder, device=device, dtype="float32"))
    asked = [Generate("In most offices", "c", Sampling(max_new_tokens=2), sample) for sample in range(70)]
    asked += [Score("In most", " offices", "c"), NextToken("In most", "c"), Embed("In most", "c")]
    assert not any(isinstance(response, Failure) for _, response in engine.run(asked))
    working = memory()
    engine.close()
    return working


use(small)
print(json.dumps([memory(), *((use(large), memory()) for _ in range(3))]))
"""


@pytest.fixture
def large_folder(tiny: Any) -> Iterator[Path]:
    """50 million parameters: 200 MB in float32."""
    shape = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 7}
    folder = tiny.folder(tiny.config(**shape, num_attention_heads=12, num_key_value_heads=12))
    yield folder
    # pytest keeps the folders of three sessions.
    shutil.rmtree(folder)


def _measured(small: Path, large: Path, device: str) -> list[Any]:
    command = [sys.executable, "-c", MEASURE, str(small), str(large), device]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only the C library of GNU gives freed pages back when it is told")
def test_a_closed_model_leaves_the_memory_of_the_process_as_it_was(llama_folder: Path, large_folder: Path) -> None:
    weights = (large_folder / "model.safetensors").stat().st_size
    before, *loads = _measured(llama_folder, large_folder, "cpu")
    for working, after in loads:
        for size in ("rss", "uss"):
            assert working[size] - before[size] > (0.9 if size == "rss" else 0.5) * weights, "the model was there"
            assert after[size] < 1.05 * before[size], size
    # Nor is a little left each time.
    assert loads[2][1]["uss"] - loads[1][1]["uss"] < 0.01 * weights


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU that torch can use by CUDA or ROCm")
def test_a_closed_model_leaves_the_memory_of_a_gpu_as_it_was(llama_folder: Path, large_folder: Path) -> None:
    weights = (large_folder / "model.safetensors").stat().st_size
    before, *loads = _measured(llama_folder, large_folder, "cuda")
    for working, after in loads:
        assert working["device"] - before["device"] > 0.9 * weights
        assert after["device"] < 1.05 * before["device"]
