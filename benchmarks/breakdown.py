"""Where llmaudit's time goes, from torch.profiler: what keeps a job from its floor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from unittest import mock

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from llmaudit.engines.base import Engine
from llmaudit.engines.hf.sampling import RowSampler
from llmaudit.types import Request

__all__ = ["breakdown"]

_WHOLE = "benchmarks: the whole job"
_SAMPLING = "benchmarks: sampling"
_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::matmul", "aten::linear", "mkldnn::")
_ATTENTION = ("attention",)
#: How many operations of the rest are named.
_NAMED = 4


def breakdown(engine: Engine, requests: Sequence[Request]) -> str:
    """Return the shares of a short run: matrix products, attention, sampling, Python between operations, the rest."""
    draw = RowSampler.draw

    def marked(self: RowSampler, *arguments: Any) -> torch.Tensor:
        with record_function(_SAMPLING):
            return draw(self, *arguments)

    with (
        mock.patch.object(RowSampler, "draw", marked),
        profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler,
        record_function(_WHOLE),
    ):
        for _ in engine.run(requests):
            pass
    return _line(profiler.events() or [])


def _line(events: Sequence[Any]) -> str:
    shares: Counter[str] = Counter()
    rest: Counter[str] = Counter()
    for event in events:
        kind = _kind(event)
        shares[kind] += event.self_cpu_time_total
        if kind == "the rest":
            rest[event.name.removeprefix("aten::")] += event.self_cpu_time_total
    total = shares.total()
    named = ", ".join(f"{name} {time / total:.0%}" for name, time in rest.most_common(_NAMED))
    parts = [f"{kind} {time / total:.0%}" for kind, time in shares.most_common()]
    return f"under the profiler: {', '.join(parts)} (of the rest: {named})"


def _kind(event: Any) -> str:
    if _inside_sampling(event):
        return "sampling"
    name = event.name
    if name == _WHOLE:
        return "Python between operations"
    if any(word in name for word in _ATTENTION):
        return "attention"
    return "matrix products" if name.startswith(_PRODUCTS) else "the rest"


def _inside_sampling(event: Any) -> bool:
    while event is not None:
        if event.name == _SAMPLING:
            return True
        event = event.cpu_parent
    return False
