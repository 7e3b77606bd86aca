"""Measures the machine and the model, for the floors."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.floors import Machine, ModelSize
from benchmarks.models import Models
from llmaudit.engines.hf.loading import DTYPES

__all__ = ["measure_machine", "size_of"]

_READ_BYTES = 1 << 28
_SIDE = 2048
_TRIES = 7


def measure_machine(models: Models) -> Machine:
    """Measure read bandwidth and the rate of matrix products, with all threads: the best of several tries each.

    Jobs do it before and after, since a shared machine is not the same all the time.
    """
    dtype, device = DTYPES[models.dtype], models.device
    numbers = torch.ones(_READ_BYTES // 4, dtype=torch.float32, device=device)
    reading = _least_seconds(lambda: float(numbers.sum()))
    square = torch.ones(_SIDE, _SIDE, dtype=dtype, device=device)
    # Taking one element waits for a device that works in the background.
    multiplying = _least_seconds(lambda: float((square @ square)[0, 0]))
    return Machine(bandwidth=_READ_BYTES / reading, gemm=2 * _SIDE**3 / multiplying)


def size_of(model: Any) -> ModelSize:
    """Count what one token costs."""
    config = model.config.get_text_config()
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    # Looking a token up is no product; a matrix that is the head as well is multiplied with as the head.
    looked_up = 0 if embedding is head else embedding.numel()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return ModelSize(
        matrix_parameters=model.num_parameters() - looked_up,
        bytes_per_parameter=head.element_size(),
        cache_bytes_per_token=2 * config.num_hidden_layers * heads * width * head.element_size(),
    )


def _least_seconds(work: Callable[[], float]) -> float:
    return min(_seconds(work) for _ in range(_TRIES))


def _seconds(work: Callable[[], float]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
