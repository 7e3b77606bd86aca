"""Samples that grow: refused after a look, and judged at their own level where the suite declares it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_SUITE = """\
suite: growing
audits:
  answers:
    kind: bias
    groups: {women: {noun: women}, men: {noun: men}}
    templates: [TEMPLATES]
    samples: 3
    scorers: [length]
    checks:
      length_gap: {max: 30}
"""


def _suite(looks: str = "") -> str:
    templates = ", ".join(f'"{{group}} are {number}"' for number in range(12))
    return _SUITE.replace("TEMPLATES", templates).replace("audits:", f"{looks}\naudits:", 1)


def test_more_samples_after_a_look_are_refused_before_anything_is_asked(project: Project) -> None:
    project.suite(_suite())
    project.run().assert_outcomes(passed=1)
    project.forget()
    result = project.run("--samples", "5")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*growing/answers: 5 samples, and the run of * judged the same audit with 3.*"])
    assert project.asked == []
    project.run("--samples", "5", "--seed", "1").assert_outcomes(passed=1)


def test_declared_looks_have_levels_of_their_own(project: Project) -> None:
    project.suite(_suite("looks: {plan: pocock, of: 3}"))
    for look, samples in (("1", 1), ("2", 2), ("3", 3)):
        project.run("--look", look).assert_outcomes(passed=1)
        (record,) = project.result().records
        assert record.estimate is not None
        assert record.estimate.n == 2 * 12 * samples
        assert record.estimate.level == pytest.approx(0.955, abs=0.004)
        settings = {setting.name: setting.value for setting in project.result().audits[0].settings}
        assert settings["look"].startswith(f"look {look} of 3 (pocock")


def test_a_model_in_another_form_is_another_model(project: Project) -> None:
    project.suite(_suite())
    project.run().assert_outcomes(passed=1)
    project.run("--samples", "5", "--quantization", "nf4").assert_outcomes(passed=1)


def test_a_margin_waits_for_the_last_look_and_does_not_pass_before(project: Project) -> None:
    project.suite(_suite("looks: {plan: pocock, of: 2}").replace("max: 30", "max: 30, margin: 5"))
    project.run("--look", "1")
    result = project.run("--look", "1", "--baseline", "latest", "--seed", "0")
    (record,) = project.result().records
    assert (record.verdict, record.baseline) == ("inconclusive", None)
    assert "look 1 of 2 (pocock, " in record.reason
    assert record.reason.endswith("the last look alone judges the margin")
    result.stdout.fnmatch_lines(["Look 1 of 2 (pocock, * intervals) at growing/answers: *"])
    project.run("--look", "2")
    project.run("--look", "2", "--baseline", "latest").assert_outcomes(passed=1)
    (record,) = project.result().records
    assert record.baseline is not None
    assert record.baseline.verdict == "equivalent"


def test_an_audit_without_samples_is_judged_against_the_baseline_at_every_look(project: Project) -> None:
    project.suite(
        """\
        suite: still
        looks: {plan: pocock, of: 2}
        audits:
          size:
            kind: tokenization
            words: [people, work]
            checks:
              vocabulary_size: {min: 500, margin: 1}
        """
    )
    project.run("--look", "1").assert_outcomes(passed=1)
    project.run("--look", "1", "--baseline", "latest").assert_outcomes(passed=1)
    (record,) = project.result().records
    assert record.baseline is not None
    assert record.baseline.verdict == "equivalent"


def test_looks_and_samples_exclude_each_other(project: Project) -> None:
    project.suite(_suite("looks: {plan: pocock, of: 3}"))
    result = project.run("--look", "1", "--samples", "5")
    assert "--samples and --look" in result.stdout.str() + result.stderr.str()
    assert result.ret != pytest.ExitCode.OK
