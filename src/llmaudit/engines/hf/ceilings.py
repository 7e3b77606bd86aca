"""What a device can do at most: bytes read per second, and operations of a large product."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from llmaudit.engines.hf.devices import Device
from llmaudit.engines.launches import Ceilings

__all__ = ["measure_ceilings"]

#: Bytes that are read at most; at least one, that no cache of a small processor holds.
_MOST, _LEAST = 1 << 30, 1 << 26
#: Width of the matrix that is read.
_COLUMNS = 4096
#: Seconds after which no further repetition begins, and how many there are at least.
_SECONDS, _REPETITIONS = 0.15, 3
#: Edges of the square matrices that are multiplied: the next one as long as the last took less than `_QUICK` seconds.
_EDGES = (256, 512, 1024, 2048, 4096, 8192)
_QUICK = 0.01


@torch.inference_mode()
def measure_ceilings(device: Device, place: torch.device, dtype: torch.dtype, weights: int) -> Ceilings:
    """Measure both by their best repetition, with `weights` the bytes of the model's parameters.

    Bandwidth is that of a matrix-vector product over as many bytes as the weights have (64 MiB to 1 GiB): what a decode
    step does, so that weights that fit a cache are compared with the cache. Operations are those of a square product,
    2 n^3, in the model's data type.
    """
    return Ceilings(_bandwidth(device, place, dtype, weights), _flops(device, place, dtype))


def _bandwidth(device: Device, place: torch.device, dtype: torch.dtype, weights: int) -> float:
    rows = min(max(weights, _LEAST), _MOST) // (dtype.itemsize * _COLUMNS)
    matrix = torch.ones(rows, _COLUMNS, dtype=dtype, device=place)
    vector = torch.ones(_COLUMNS, dtype=dtype, device=place)
    return matrix.nbytes / _best(device, partial(torch.mv, matrix, vector))


def _flops(device: Device, place: torch.device, dtype: torch.dtype) -> float:
    best = 0.0
    for edge in _EDGES:
        square = torch.ones(edge, edge, dtype=dtype, device=place)
        seconds = _best(device, partial(torch.mm, square, square))
        best = max(best, 2 * edge**3 / seconds)
        if seconds > _QUICK:
            break
    return best


def _best(device: Device, work: Callable[[], torch.Tensor]) -> float:
    """Seconds of the fastest of some repetitions; the first is thrown away."""
    work()
    device.synchronise()
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < _REPETITIONS or time.perf_counter() - started < _SECONDS:
        before = time.perf_counter()
        work()
        device.synchronise()
        times.append(time.perf_counter() - before)
    return min(times)
