"""Audits and runs to hold against one another: a metric of any direction, with a number per cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmaudit.gate import AuditGate, Gate
from llmaudit.records import AuditRecord, EstimateRecord, ScorerRecord
from llmaudit.run import SCHEMA_VERSION, Run
from llmaudit.stats import t_interval
from llmaudit.types import Better, Estimate, ModelInfo

MODEL = ModelInfo("new", "new", "fake", tokenizer="aa")


def estimate(name: str, values: Sequence[float], better: Better = "lower", **changes: Any) -> Estimate:
    """One number per cluster."""
    known: dict[str, Any] = {
        "metric": name,
        "value": float(np.mean(values)) if len(values) else float("nan"),
        "interval": t_interval(np.asarray(values, dtype=float), 0.90) if len(values) > 1 else None,
        "unit": "words",
        "better": better,
        "n": 3 * len(values),
        "clusters": len(values),
        "cluster_values": {f"c{number}": float(value) for number, value in enumerate(values)},
    }
    return Estimate(**known | changes)


def audit(*estimates: Estimate, **changes: Any) -> AuditRecord:
    """An audit that has measured them."""
    known: dict[str, Any] = {
        "id": "s/a",
        "suite": "s",
        "audit": "a",
        "kind": "bias",
        "question": "",
        "scorers": (ScorerRecord("length", "1", "", "words"),),
        "estimates": tuple(EstimateRecord.of(each) for each in estimates),
        "design": {"samples": "4", "templates": "sha256:00"},
    }
    return AuditRecord(**known | changes)


def run(*audits: AuditRecord, **changes: Any) -> Run:
    """A run of them."""
    known: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run_id": "abc",
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:01:00+00:00",
        "llmaudit_version": "0",
        "model": ModelInfo("old", "old", "fake", tokenizer="aa"),
        "environment": {},
        "seed": 0,
        "smoke": False,
        "complete": True,
        "suites": (),
        "plan": (),
        "audits": audits,
        "records": (),
    }
    return Run(**known | changes)


def against(
    before: Mapping[str, Sequence[float]], after: Mapping[str, Sequence[float]], better: Better = "lower"
) -> AuditGate:
    """A finished audit beside that of a baseline, with these numbers per metric and cluster."""
    old, new = (audit(*(estimate(name, values, better) for name, values in each.items())) for each in (before, after))
    return Gate(run(old), "--baseline old", 0).against(new, MODEL)
