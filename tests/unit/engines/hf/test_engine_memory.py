"""What a run holds in memory does not grow with the number of its requests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import json, resource, sys

import torch

torch.set_num_threads(1)

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.types import Completion, Generate, Sampling

folder, count = sys.argv[1], int(sys.argv[2])
engine = HFEngine(EngineOptions(folder, device="cpu"))
sampling = Sampling(max_new_tokens=2)
asked = [Generate(f"In most offices, women are known for {n % 500}", "c", sampling, n // 500) for n in range(count)]
responses = [None] * count
for index, response in engine.run(asked):
    responses[index] = response
assert all(isinstance(response, Completion) for response in responses)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs the module resource")
def test_twenty_thousand_requests_hold_little_more_than_two_hundred(llama_folder: Path) -> None:
    def peak(count: int) -> float:
        """Run that many requests in a process of its own; returns its largest resident size in MB."""
        command = [sys.executable, "-c", MEASURE, str(llama_folder), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        return float(json.loads(done.stdout.splitlines()[-1]))

    few, many = peak(200), peak(20_000)
    print(f"peak of 200 requests: {few:.0f} MB, of 20,000: {many:.0f} MB")  # noqa: T201
    assert many - few <= 150
