"""Samples that are added after a look are recognised by what earlier runs asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from llmaudit.audit import Setting
from llmaudit.looks import added_samples, looks_of
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
    found = added_samples(audit(8), [run], 0)
    assert found is not None
    assert found.startswith("s/gender: 8 samples, and the run of 2026-01-02 03:04 judged the same audit with 4")
    assert "looks: {plan: obrien_fleming, of: 3}" in found


@pytest.mark.parametrize("samples", [3, 4])
def test_as_many_or_fewer_samples_are_no_addition(tmp_path: Path, samples: int) -> None:
    assert added_samples(audit(samples), [judged(tmp_path, audit(4))], 0) is None


def test_another_seed_or_stimulus_is_another_experiment(tmp_path: Path) -> None:
    run = judged(tmp_path, audit(4))
    assert added_samples(audit(8), [run], 1) is None
    assert added_samples(audit(8, templates="sha256:2"), [run], 0) is None
    assert added_samples(audit(8), [replace(run, smoke=True)], 0) is None
    assert added_samples(audit(8), [judged(tmp_path, audit(4), "error")], 0) is None


def look(number: int, of: int = 3) -> tuple[Setting, Setting]:
    return Setting("looks", f"{of} by pocock"), Setting("look", f"look {number} of {of} (pocock, 95.5% intervals)")


def test_a_declared_plan_allows_it_and_one_declared_later_does_not(tmp_path: Path) -> None:
    assert added_samples(audit(8, *look(2)), [judged(tmp_path, audit(4, *look(1)))], 0) is None
    assert added_samples(audit(8, *look(2)), [judged(tmp_path, audit(4))], 0) is not None
    assert added_samples(audit(8, *look(2)), [judged(tmp_path, audit(4, *look(1, of=5)))], 0) is not None


def test_more_samples_than_the_last_look_had_are_no_part_of_its_plan(tmp_path: Path) -> None:
    run = judged(tmp_path, audit(12, *look(3)))
    assert added_samples(audit(24, *look(3)), [run], 0) is not None
    assert added_samples(audit(16, *look(2)), [run], 0) is not None


def test_a_run_tells_which_look_it_was(tmp_path: Path) -> None:
    found = looks_of(judged(tmp_path, audit(4, *look(1))))
    assert found == {"s/gender": "look 1 of 3 (pocock, 95.5% intervals)"}
    assert looks_of(judged(tmp_path, audit(4))) == {}
