"""Margins against a baseline: a suite's own for every check of a metric, and those that no metric could use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from llmaudit.audit import SCALES, CheckParams, MarginParams, Metric
from llmaudit.suite.document import Document
from llmaudit.suite.hints import unknown
from llmaudit.suite.model import AuditEntry
from llmaudit.suite.problems import Problem

__all__ = ["Margins", "margins_of_nothing", "unusable_margin", "with_margins"]

#: Bare metric name -> the suite's margin.
Margins = Mapping[str, MarginParams]


def with_margins(data: Mapping[str, Any], margins: Margins) -> tuple[dict[str, Any], dict[str, str]]:
    """Return an audit as written with the suite's margin in every check that has none, and metric -> why of those.

    An exploratory check is reported, and held to nothing that is not its own.
    """
    written = data.get("checks")
    checks: dict[Any, Any] = dict(written) if isinstance(written, dict) else {}
    reasons = {}
    for metric, check in checks.items():
        own = margins.get(str(metric).partition(".")[0])
        open_to_it = isinstance(check, dict) and "margin" not in check and check.get("role") != "exploratory"
        if own is not None and open_to_it:
            checks[metric] = {**check, "margin": own.margin}
            reasons[metric] = own.why
    return ({**data, "checks": checks} if reasons else dict(data)), reasons


def unusable_margin(check: CheckParams, metric: Metric) -> str | None:
    """Say why a margin could never be exceeded, or contradicts the check's limit; None where it can be used.

    Beyond the scale of its unit nothing could be worse, and a margin wider than what the limit leaves of the scale is
    moot: the limit fails first.
    """
    scale = SCALES.get(metric.unit)
    if not isinstance(check.margin, float):
        return None
    if scale is not None and check.margin >= scale:
        return f"margin {check.margin:g} is as large as the scale of {metric.unit}, {scale:g}: nothing could be worse"
    room, limit = _room(check, metric, scale)
    if room is not None and check.margin > room:
        return f"margin {check.margin:g} is larger than the range that {limit} leaves: the limit would fail before it"
    return None


def margins_of_nothing(document: Document, audits: Collection[AuditEntry]) -> list[Problem]:
    """Return one problem for every margin of a suite that names no metric of its audits."""
    written = document.data.get("margins")
    names = dict.fromkeys(name.partition(".")[0] for entry in audits for name in entry.audit.offered)
    return [
        Problem(document.key_place(("margins", metric)), ("margins", metric), unknown("metric", metric, names))
        for metric in (written if isinstance(written, dict) else ())
        if metric not in names
    ]


def _room(check: CheckParams, metric: Metric, scale: float | None) -> tuple[float | None, str]:
    """How far a metric that keeps its limit can get worse, and that limit; None where its unit has no end to tell."""
    if check.max is not None and metric.better == "zero":
        return 2 * check.max, f"max {check.max:g}"
    if scale is None:
        return None, ""
    if check.max is not None and metric.better == "lower":
        return check.max, f"max {check.max:g}"
    if check.min is not None and metric.better == "higher":
        return scale - check.min, f"min {check.min:g}"
    return None, ""
