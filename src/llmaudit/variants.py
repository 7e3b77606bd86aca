"""An audit repeated on variants of its model, and what each of them changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from llmaudit.audit import Audit, Context, Intervals, Measurement, drift_name
from llmaudit.drift import Drift
from llmaudit.engines.base import Engine, Variant
from llmaudit.errors import ModelError
from llmaudit.types import Estimate, ModelInfo, Request, Sample

__all__ = ["with_drift"]

#: Rows of a figure of changes: those that checks are about come first.
_ROWS = 24


def with_drift(audit: Audit[Any], measured: Measurement, context: Context) -> Measurement:
    """Return a measurement with what every variant changes of it.

    The variants are loaded one after the other, beside the model. One that cannot be had leaves its changes without a
    value and says why; the others go on.
    """
    if audit.compares_variants:
        return measured
    for name, params in audit.params.variants.items():
        try:
            other, info = _measured(audit, params.variant(), context)
        except ModelError as error:
            estimates = _unknown(measured.estimates, name, str(error))
            notes = (*measured.notes, f"The variant {name} was skipped: {error}")
            measured = replace(measured, estimates={**measured.estimates, **estimates}, notes=notes)
            continue
        estimates = Drift(name, _own(audit, measured), other.estimates, audit.seed).estimates()
        figures = (*measured.figures, *_figures(audit, name, estimates))
        notes = (*measured.notes, f"The variant {name} is {_told(info)}.")
        measured = replace(measured, estimates={**measured.estimates, **estimates}, figures=figures, notes=notes)
    return measured


def _measured(audit: Audit[Any], variant: Variant, context: Context) -> tuple[Measurement, ModelInfo]:
    engine = context.open_model(variant)
    try:
        if missing := sorted(request.__name__ for request in audit.needs - engine.capabilities):
            raise ModelError(f"the engine {engine.info.engine} does not answer {', '.join(missing)}")
        measurement, _ = audit.run(_On(engine, context))
        return measurement, engine.info
    finally:
        engine.close()


def _told(info: ModelInfo) -> str:
    """Which weights these are, so that a reader can repeat the comparison."""
    parts = [info.resolved, info.quantization, info.dtype, info.sha256 and f"SHA-256 of the weights {info.sha256}"]
    return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class _On:
    """A context whose model is the variant."""

    engine: Engine
    _context: Context

    @property
    def smoke(self) -> bool:
        return self._context.smoke

    @property
    def progress(self) -> Callable[[int, int], None]:
        return self._context.progress

    def answer(self, requests: Iterable[Request], engine: Engine | None = None) -> list[Sample]:
        return self._context.answer(requests, engine or self.engine)

    def open_tokenizer(self, model: str) -> Engine:
        return self._context.open_tokenizer(model)

    def open_model(self, variant: Variant) -> Engine:
        return self._context.open_model(variant)


def _own(audit: Audit[Any], measured: Measurement) -> dict[str, Estimate]:
    return {name: measured.estimates[name] for name in audit.metrics if name in measured.estimates}


def _unknown(estimates: Mapping[str, Estimate], variant: str, reason: str) -> dict[str, Estimate]:
    """The changes under a variant that there is none of."""
    own = {name: estimate for name, estimate in estimates.items() if not name.startswith("drift.")}
    return {
        drift_name(variant, name): replace(
            estimate,
            metric=drift_name(variant, name),
            value=math.nan,
            interval=None,
            p_value=None,
            effect_size=None,
            problem=reason,
            cluster_values={},
            details={},
        )
        for name, estimate in own.items()
    }


def _figures(audit: Audit[Any], variant: str, estimates: Mapping[str, Estimate]) -> list[Intervals]:
    """What a variant changes, the metrics with a check first; a figure per unit, as one axis has but one."""
    checked = sorted(estimates.values(), key=lambda estimate: estimate.metric not in audit.params.checks)
    rows: dict[str, list[tuple[str, float | None, float | None, float | None]]] = {}
    for each in checked:
        if each.interval is not None:
            label = each.metric.removeprefix(drift_name(variant, ""))
            rows.setdefault(each.unit, []).append((label, each.value, each.interval.low, each.interval.high))
    return [
        Intervals(f"Change under {variant}", f"variant minus model, {unit}", tuple(of_unit[:_ROWS]), zero=True)
        for unit, of_unit in rows.items()
    ]
