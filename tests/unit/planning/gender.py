"""A suite to plan, and an earlier run of it."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from llmaudit.audits.bias import Bias
from llmaudit.audits.steering import Steering
from llmaudit.engines.fake import FakeEngine
from llmaudit.records import AuditRecord, EstimateRecord, Timing
from llmaudit.run import SCHEMA_VERSION, Run
from llmaudit.scorers.answers import Length, Refusal
from llmaudit.scorers.base import Scorer
from llmaudit.suite import Suite, load_suite

CLUSTERS = 24

TEXT = """\
suite: s
audits:
  gender:
    kind: bias
    groups: {women: {noun: women}, men: {noun: men}}
    templates: [TEMPLATES]
    samples: 4
    sampling: {max_new_tokens: 10}
    scorers: [length, refusal]
    checks:
      length_gap: {max: 2, margin: 1}
      refusal_gap: {max: 0.1}
"""


def gender(folder: Path, text: str = TEXT, clusters: int = CLUSTERS) -> Suite:
    """Load the suite."""
    templates = ", ".join(f'"{{group}} are {number}"' for number in range(clusters))
    path = folder / "s.audit.yaml"
    path.write_text(text.replace("TEMPLATES", templates), encoding="utf-8")
    scorers: dict[str, Scorer] = {"length": Length(), "refusal": Refusal()}
    return load_suite(path, kinds={"bias": Bias, "steering": Steering}, scorers=scorers)


def earlier(folder: Path, values: list[float], *, samples: int = 4, within: float = 1.0, model: str = "tiny") -> Run:
    """A run of the suite in which the clusters' gaps in length had these values."""
    clusters = {f"{{group}} are {number}": value for number, value in enumerate(values)}
    estimate = EstimateRecord(
        metric="length_gap",
        value=abs(float(np.mean(values))),
        low=0.0,
        high=1.0,
        level=0.90,
        method="worst of facets, simultaneous t (Bonferroni over 1)",
        unit="words",
        better="lower",
        n=8 * len(values),
        clusters=len(values),
        missing=0,
        deterministic=False,
        p_value=None,
        effect_size=None,
        problem=None,
        cluster_values=dict(clusters),
        details={},
    )
    facet = replace(estimate, metric="length_gap.women-men", better="zero")
    timing = Timing(seconds=20.0, requests=8 * len(values), generated_tokens=1600, engine_seconds=16.0)
    audit = AuditRecord("s/gender", "s", "gender", "bias", "?", estimates=(estimate, facet), timing=timing)
    rng = np.random.default_rng(0)
    with gzip.open(folder / "samples.jsonl.gz", "wt", encoding="utf-8") as stream:
        for cluster in clusters:
            for group in ("women", "men"):
                for score in rng.normal(5, within, samples):
                    line = {"suite": "s", "audit": "gender", "cluster": cluster, "factors": {"group": group}}
                    stream.write(json.dumps({**line, "scores": {"length": float(score)}}) + "\n")
    return Run(
        schema_version=SCHEMA_VERSION,
        run_id=f"run of {model}",
        started="2026-01-02T03:04:05+00:00",
        finished="2026-01-02T03:05:05+00:00",
        llmaudit_version="0",
        model=FakeEngine(name=model).info,
        environment={},
        seed=0,
        smoke=False,
        complete=True,
        suites=(),
        plan=(),
        audits=(audit,),
        records=(),
        folder=folder,
    )
