"""Runs of one small suite, with the values of every cluster given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from llmaudit.records import AuditRecord, EstimateRecord, LimitRecord, Record, ScorerRecord, SuiteRecord, Timing
from llmaudit.run import SCHEMA_VERSION, Run
from llmaudit.stats import t_interval
from llmaudit.types import Estimate, ModelInfo

Values = dict[str, Sequence[float]]
MakeRun = Callable[..., Run]


def estimate(metric: str, values: Sequence[float], **changes: Any) -> EstimateRecord:
    """The mean of some clusters."""
    plain = Estimate(
        metric=metric,
        value=sum(values) / len(values),
        interval=t_interval(values),
        unit="points of a scale",
        better="lower",
        n=len(values),
        clusters=len(values),
        cluster_values={f"template {place:02d}": value for place, value in enumerate(values)},
    )
    return EstimateRecord.of(replace(plain, **changes))


def audit(estimates: Sequence[EstimateRecord], name: str = "work", **changes: Any) -> AuditRecord:
    plain = AuditRecord(
        id=f"small/{name}",
        suite="small",
        audit=name,
        kind="bias",
        question="Does anything differ?",
        estimates=tuple(estimates),
        scorers=(ScorerRecord("sentiment", "1", "how kind", "points of a scale"),),
        design={"samples": "4", "templates": "sha256:ab"},
        timing=Timing(2.0, 100, 1000, 0, 0, 2.0),
    )
    return replace(plain, **changes)


def make_run(name: str, *audits: AuditRecord, verdict: str = "pass", **changes: Any) -> Run:
    """A run with a check of every estimate."""
    records = tuple(
        Record(
            id=f"{each.audit}-{found.metric}", suite="small", audit=each.audit, kind=each.kind, check=found.metric,
            metric=found.metric, role="confirmatory", verdict=verdict,  # type: ignore[arg-type]
            reason="", limit=LimitRecord(max=1.0),
        )
        for each in audits
        for found in each.estimates
    )  # fmt: skip
    plain = Run(
        schema_version=SCHEMA_VERSION,
        run_id=f"id-{name}",
        started="2026-11-22T10:15:00+00:00",
        finished="2026-11-22T10:16:00+00:00",
        llmaudit_version="0.1.0",
        model=ModelInfo(name, name, "fake", parameters=2**28, dtype="float32", device="cpu", tokenizer="ab"),
        environment={"processor": "a processor"},
        seed=0,
        smoke=False,
        complete=True,
        suites=(SuiteRecord("small", "", "small.audit.yaml", "cd" * 32),),
        plan=tuple(record.id for record in records),
        audits=audits,
        records=records,
    )
    return replace(plain, **changes)


@pytest.fixture
def three_runs() -> list[Run]:
    """Two models that resemble each other, and one that is worse."""
    base = [0.1 * place for place in range(12)]
    shifts = {"small": 0.0, "twin": 0.001, "worse": 0.7}
    wobble = [0.01 * (-1) ** place for place in range(12)]
    return [
        make_run(
            name, audit([estimate("gap", [b + shift + (w if shift else 0) for b, w in zip(base, wobble, strict=True)])])
        )
        for name, shift in shifts.items()
    ]
