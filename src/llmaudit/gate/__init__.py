"""A run against a baseline: the same requests, the same clusters, another model."""

from __future__ import annotations

from llmaudit.gate.baselines import ACCEPTED, MODEL_PREFIX, accept, find_baseline
from llmaudit.gate.items import changed_items, stored_samples
from llmaudit.gate.judging import AuditGate, Gate
from llmaudit.gate.likeness import differences
from llmaudit.gate.refusal import Asked, refusal

__all__ = [
    "ACCEPTED",
    "MODEL_PREFIX",
    "Asked",
    "AuditGate",
    "Gate",
    "accept",
    "changed_items",
    "differences",
    "find_baseline",
    "refusal",
    "stored_samples",
]
