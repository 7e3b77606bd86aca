"""Only what was measured alike is compared, and what is not is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmaudit.comparison.likeness import split_by_likeness
from llmaudit.records import ScorerRecord

from .conftest import audit, estimate, make_run

GAP = estimate("gap", [0.1, 0.2, 0.3])


def test_the_same_audits_are_alike() -> None:
    runs = [make_run(name, audit([GAP]), audit([GAP], "home")) for name in "abc"]
    alike, unlike = split_by_likeness(runs)
    assert [sorted(found) for found in alike] == [[0, 1, 2], [0, 1, 2]]
    assert unlike == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "pairs"}, "kind bias there, pairs here"),
        ({"design": {"samples": "8", "templates": "sha256:ab"}}, "samples 4 there, 8 here"),
        ({"design": {"samples": "4", "templates": "sha256:cd"}}, "other templates"),
        ({"design": {}}, "an older llmaudit"),
        ({"scorers": (ScorerRecord("sentiment", "2", "", ""),)}, "scorer sentiment 1 there, 2 here"),
    ],
)
def test_another_measurement_is_left_out_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    runs = [make_run("a", audit([GAP])), make_run("b", audit([GAP])), make_run("c", audit([GAP], **changes))]
    alike, unlike = split_by_likeness(runs)
    assert [sorted(found) for found in alike] == [[0, 1]]
    assert [(each.run, each.audit) for each in unlike] == [(2, "small/work")]
    assert reason in unlike[0].reason


def test_another_seed_leaves_the_whole_run_out() -> None:
    runs = [make_run("a", audit([GAP])), make_run("b", audit([GAP])), make_run("c", audit([GAP]), seed=7)]
    alike, unlike = split_by_likeness(runs)
    assert [sorted(found) for found in alike] == [[0, 1]]
    assert [(each.run, each.audit, each.reason) for each in unlike] == [(2, None, "seed 0 there, 7 here")]


def test_an_audit_that_a_run_lacks_is_compared_among_the_others() -> None:
    runs = [make_run("a", audit([GAP], "home")), *(make_run(name, audit([GAP])) for name in "bc")]
    alike, unlike = split_by_likeness(runs)
    assert [sorted(found) for found in alike] == [[1, 2]]
    assert {(each.run, each.audit, each.reason) for each in unlike} == {
        (1, "small/home", "no such audit here"),
        (2, "small/home", "no such audit here"),
        (0, "small/work", "no such audit here"),
    }


def test_limits_are_no_part_of_a_measurement() -> None:
    one, other = (make_run(name, audit([GAP])) for name in "ab")
    stricter = replace(other, records=tuple(replace(each, id="another") for each in other.records))
    assert split_by_likeness([one, stricter])[1] == ()
