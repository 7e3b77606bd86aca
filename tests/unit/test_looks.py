"""Samples that are added after a look are recognised by what earlier runs asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from llmaudit.audit import Setting
from llmaudit.looks import added_samples
from llmaudit.records import AuditRecord, LimitRecord, Record
from llmaudit.run import Run
from tests.unit.planning.gender import earlier

DESIGN = {"samples": "4", "templates": "sha256:1"}


def audit(samples: int, *looks: Setting, **design: str) -> AuditRecord:
    asked = {**DESIGN, "samples": str(samples), **design}
    return AuditRecord("s/gender", "s", "gender", "bias", "?", settings=looks, design=asked)


def judged(folder: Path, record: AuditRecord, verdict: str = "inconclusive") -> Run:
    check = Record(
        "1", "s", "gender", "bias", "length_gap", "length_gap", "confirmatory", "pass", "", LimitRecord(max=1.0)
    )
    return replace(earlier(folder, [0.0, 1.0]), audits=(record,), records=(replace(check, verdict=verdict),))  # type: ignore[arg-type]


def test_more_samples_than_were_judged_are_refused_with_the_way_out(tmp_path: Path) -> None:
    run = judged(tmp_path, audit(4))
    found = added_samples(audit(8), [run], "tiny", 0)
    assert found is not None
    assert found.startswith("s/gender: 8 samples, and the run of 2026-01-02 03:04 judged the same audit with 4")
    assert "looks: {plan: obrien_fleming, of: 3}" in found


@pytest.mark.parametrize("samples", [3, 4])
def test_as_many_or_fewer_samples_are_no_addition(tmp_path: Path, samples: int) -> None:
    assert added_samples(audit(samples), [judged(tmp_path, audit(4))], "tiny", 0) is None


def test_another_model_seed_or_stimulus_is_another_experiment(tmp_path: Path) -> None:
    run = judged(tmp_path, audit(4))
    assert added_samples(audit(8), [run], "large", 0) is None
    assert added_samples(audit(8), [run], "tiny", 1) is None
    assert added_samples(audit(8, templates="sha256:2"), [run], "tiny", 0) is None
    assert added_samples(audit(8), [replace(run, smoke=True)], "tiny", 0) is None
    assert added_samples(audit(8), [judged(tmp_path, audit(4), "error")], "tiny", 0) is None


def test_a_declared_plan_allows_it_and_one_declared_later_does_not(tmp_path: Path) -> None:
    plan = Setting("looks", "3 by pocock")
    assert added_samples(audit(8, plan), [judged(tmp_path, audit(4, plan))], "tiny", 0) is None
    assert added_samples(audit(8, plan), [judged(tmp_path, audit(4))], "tiny", 0) is not None
    other = Setting("looks", "5 by pocock")
    assert added_samples(audit(8, plan), [judged(tmp_path, audit(4, other))], "tiny", 0) is not None
