"""--plan: what a session would cost and could tell, and nothing run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_SUITE = """\
suite: planned
audits:
  tokens:
    kind: tokenization
    words: [people, work]
    checks:
      vocabulary_size: {min: 500}
  answers:
    kind: bias
    groups: {women: {noun: women}, men: {noun: men}}
    templates: ["{group} are", "I saw {group}"]
    samples: 1
    scorers: [length]
    checks:
      length_gap: {max: 3, on_inconclusive: warn}
"""


def test_nothing_is_asked_loaded_or_written(project: Project) -> None:
    project.suite(_SUITE)
    result = project.run("--plan", "--no-calibration", "--price", "1/2 EUR")
    assert result.ret == pytest.ExitCode.OK
    assert project.asked == []
    assert project.loads == []
    assert not (project.path / "reports").exists()
    result.stdout.fnmatch_lines(
        [
            "cannot decide: 1 check",
            "  planned/answers::length_gap (limit below 3): design: 2 clusters, *",
            "planned/answers *4 *",
            "2 audits *",
            "*length_gap*",
            "No calibration was made*",
        ]
    )


def test_json_is_all_that_is_written(project: Project) -> None:
    project.suite(_SUITE)
    result = project.run("--plan=json", "--no-calibration", "-k", "length_gap")
    plan = json.loads(result.stdout.str())
    assert [audit["id"] for audit in plan["audits"]] == ["planned/answers"]
    assert plan["audits"][0]["work"]["completions"] == 4
    assert plan["audits"][0]["checks"][0]["decides"] == "no"


def test_a_calibration_asks_a_little_and_stores_nothing(project: Project) -> None:
    project.suite(_SUITE)
    result = project.run("--plan=json")
    assert "calibration" in json.loads(result.stdout.str())["rates"]
    assert project.loads == ["tiny"]


def test_bad_input_is_a_usage_error_or_that_of_a_run(project: Project) -> None:
    project.suite(_SUITE)
    result = project.run("--plan", "--price", "cheap")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--price cheap: expected input/output per million tokens*"])
    project.suite("suite: broken\naudits: {}\n", "broken")
    assert project.run("--plan").ret == pytest.ExitCode.INTERRUPTED


def test_a_baseline_that_is_not_there_is_refused_and_one_that_is_comes_first(project: Project) -> None:
    templates = ", ".join(f'"{{group}} are {number}"' for number in range(12))
    project.suite(_SUITE.replace('"{group} are", "I saw {group}"', templates).replace("max: 3,", "max: 9, margin: 9,"))
    result = project.run("--plan", "--no-calibration", "--baseline", "nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*nowhere: there is no run here*"])
    later = project.run("--plan=json", "--no-calibration", "--baseline", "model:large")
    assert any("large has not been run yet" in note for note in json.loads(later.stdout.str())["notes"])
    project.run("--model=large")
    for baseline in ("latest", "model:large"):
        plan = json.loads(project.run("--plan=json", "--no-calibration", "--baseline", baseline).stdout.str())
        (margin,) = [check for check in plan["audits"][1]["checks"] if check["against"] == "margin"]
        assert "large's run of" in margin["source"]


def test_a_design_is_planned_without_a_model_and_never_run(project: Project) -> None:
    project.file(
        "wording.design.yaml",
        """\
        design: wording
        conditions: [plain, rude]
        clusters: 48
        samples: 25
        sd: {between: 0.2, within: 0.9}
        effect: 0.5
        """,
    )
    project.options = ["-pno:hypothesispytest", "-pno:anyio"]
    project.run("--plan").stdout.fnmatch_lines(["every check can decide", "wording *2,400*"])
    assert project.run().ret == pytest.ExitCode.NO_TESTS_COLLECTED
