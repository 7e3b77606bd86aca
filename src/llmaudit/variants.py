"""An audit repeated on variants of its model, and what each of them changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from llmaudit.audit import Audit, Context, Intervals, Measurement
from llmaudit.drift import Drift, drift_name
from llmaudit.engines.base import Engine, Variant
from llmaudit.errors import ModelError
from llmaudit.types import Estimate, Request, Sample

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
            other = _measured(audit, params.variant(), context)
        except ModelError as error:
            estimates = _unknown(measured.estimates, name, str(error))
            notes = (f"The variant {name} was skipped: {error}",)
            measured = replace(measured, estimates={**measured.estimates, **estimates}, notes=measured.notes + notes)
            continue
        estimates = Drift(name, _own(audit, measured), other.estimates, audit.seed).estimates()
        figures = (*measured.figures, _figure(audit, name, estimates))
        measured = replace(measured, estimates={**measured.estimates, **estimates}, figures=figures)
    return measured


def _measured(audit: Audit[Any], variant: Variant, context: Context) -> Measurement:
    engine = context.open_model(variant)
    try:
        measurement, _ = audit.run(_On(engine, context))
        return measurement
    finally:
        engine.close()


@dataclass(frozen=True, slots=True)
class _On:
    """A context whose model is the variant."""

    engine: Engine
    _context: Context

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


def _figure(audit: Audit[Any], variant: str, estimates: Mapping[str, Estimate]) -> Intervals:
    """What a variant changes, the metrics with a check first."""
    measured = [estimate for estimate in estimates.values() if estimate.interval is not None]
    checked = sorted(measured, key=lambda estimate: estimate.metric not in audit.params.checks)
    rows = tuple(
        (each.metric.removeprefix(f"drift.{variant}."), each.value, each.interval.low, each.interval.high)
        for each in checked[:_ROWS]
        if each.interval is not None
    )
    return Intervals(f"Change under {variant}", "variant minus model, in the unit of each metric", rows, zero=True)
