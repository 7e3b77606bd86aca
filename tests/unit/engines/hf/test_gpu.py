"""The same engine on an accelerator; skipped, with the reason, where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.noise import exponential_race, row_key
from llmaudit.types import Completion, Generate, Likelihood, Request, Sampling, Score

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.accelerator.is_available(), reason="this machine has no GPU that torch can use"),
]


def _answers(folder: Path, device: str, requests: list[Request]) -> list[Any]:
    engine = HFEngine(EngineOptions(str(folder), device=device, dtype="float32"))
    try:
        return [response for _, response in sorted(engine.run(requests), key=lambda pair: pair[0])]
    finally:
        engine.close()


def test_greedy_text_and_likelihood_equal_those_of_the_cpu(llama_folder: Path) -> None:
    requests: list[Request] = [
        *(Generate(text, "c", Sampling(temperature=0, max_new_tokens=12)) for text in ("In most", "The teacher said")),
        Score("The teacher", " said that", "c"),
    ]
    here, there = (_answers(llama_folder, device, requests) for device in ("cpu", "auto"))
    for mine, other in zip(here, there, strict=True):
        if isinstance(mine, Completion):
            assert other.text == mine.text
        elif isinstance(mine, Likelihood):
            assert other.logprob == pytest.approx(mine.logprob, abs=1e-3)


def test_the_same_key_draws_the_same_token_on_every_device() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(64, 5000, generator=generator)
    keys = torch.tensor([row_key(0, "stream", sample) for sample in range(64)], dtype=torch.int32)
    steps = torch.arange(64, dtype=torch.int32)
    device = torch.accelerator.current_accelerator()
    there = exponential_race(logits.to(device), keys.to(device), steps.to(device))
    assert torch.equal(exponential_race(logits, keys, steps), there.cpu())


def test_closing_gives_the_memory_back(llama_folder: Path) -> None:
    if torch.accelerator.current_accelerator() != torch.device("cuda"):
        pytest.skip("only CUDA tells how much memory is allocated")
    before = torch.cuda.memory_allocated()
    _answers(llama_folder, "auto", [Generate("In most", "c", Sampling(max_new_tokens=4))])
    assert torch.cuda.memory_allocated() == before
