"""llmaudit: a pytest plugin that audits language models."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmaudit.audit import (
        Audit,
        AuditParams,
        Bars,
        CheckParams,
        Context,
        Curve,
        Curves,
        Heatmap,
        Intervals,
        Measurement,
        Metric,
        Panel,
        Scatter,
        Setting,
        Spec,
        Table,
    )
    from llmaudit.engines.base import Engine, EngineOptions, Steerable, Variant
    from llmaudit.engines.fake import FakeEngine
    from llmaudit.errors import (
        CapabilityError,
        EngineError,
        LLMAuditError,
        ModelError,
        ReportError,
        RunError,
        SuiteError,
    )
    from llmaudit.records import Record
    from llmaudit.run import Run, load_run
    from llmaudit.scorers.base import Scorer, Validated, Validation
    from llmaudit.types import (
        Attend,
        Attention,
        Completion,
        Direction,
        Embed,
        Embedding,
        Estimate,
        Failure,
        Generate,
        Interval,
        Likelihood,
        ModelInfo,
        NextToken,
        NextTokens,
        Request,
        Response,
        Sample,
        Sampling,
        Score,
        Tokenize,
        Tokens,
        Verdict,
    )

# Where each public name lives. They are imported on first use, since pytest imports this package in every session of an
# environment that has it installed, and pydantic, numpy and their like would cost each of them a second.
_HOMES = {
    "llmaudit.audit": (
        *("Audit", "AuditParams", "Bars", "CheckParams", "Context", "Curve", "Curves", "Heatmap", "Intervals"),
        *("Measurement", "Metric", "Panel", "Scatter", "Setting", "Spec", "Table"),
    ),
    "llmaudit.engines.base": ("Engine", "EngineOptions", "Steerable", "Variant"),
    "llmaudit.engines.fake": ("FakeEngine",),
    "llmaudit.errors": (
        *("CapabilityError", "EngineError", "LLMAuditError", "ModelError", "ReportError", "RunError", "SuiteError"),
    ),
    "llmaudit.records": ("Record",),
    "llmaudit.run": ("Run", "load_run"),
    "llmaudit.scorers.base": ("Scorer", "Validated", "Validation"),
    "llmaudit.types": (
        *("Attend", "Attention", "Completion", "Direction", "Embed", "Embedding", "Estimate", "Failure", "Generate"),
        *("Interval", "Likelihood", "ModelInfo", "NextToken"),
        *("NextTokens", "Request", "Response", "Sample", "Sampling", "Score", "Tokenize", "Tokens", "Verdict"),
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Attend",
    "Attention",
    "Audit",
    "AuditParams",
    "Bars",
    "CapabilityError",
    "CheckParams",
    "Completion",
    "Context",
    "Curve",
    "Curves",
    "Direction",
    "Embed",
    "Embedding",
    "Engine",
    "EngineError",
    "EngineOptions",
    "Estimate",
    "Failure",
    "FakeEngine",
    "Generate",
    "Heatmap",
    "Interval",
    "Intervals",
    "LLMAuditError",
    "Likelihood",
    "Measurement",
    "Metric",
    "ModelError",
    "ModelInfo",
    "NextToken",
    "NextTokens",
    "Panel",
    "Record",
    "ReportError",
    "Request",
    "Response",
    "Run",
    "RunError",
    "Sample",
    "Sampling",
    "Scatter",
    "Score",
    "Scorer",
    "Setting",
    "Spec",
    "Steerable",
    "SuiteError",
    "Table",
    "Tokenize",
    "Tokens",
    "Validated",
    "Validation",
    "Variant",
    "Verdict",
    "load_run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
