"""What a session tells the CI system that it runs in, and --gate-only."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project


@pytest.fixture
def github(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A job of GitHub Actions."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "step.md"))
    return project


def test_annotations_point_at_the_line_of_the_check(github: Project) -> None:
    path = github.suite(name="suites/facts")
    result = github.run()
    (command,) = [line for line in result.outlines if line.startswith("::")]
    line = 1 + next(n for n, text in enumerate(path.read_text().splitlines()) if "special_tokens" in text)
    assert command == (
        f"::error file=suites/facts.audit.yaml,line={line},title=size%3A%3Aspecial_tokens fail::"
        "fail: special_tokens = 2 tokens (n=1, limit at most 1): value 2 is above 1"
    )


def test_a_suite_outside_the_root_folder(github: Project) -> None:
    """The place is that of the repository, wherever pytest finds its root."""
    github.suite(name="audits/facts")
    github.file("audits/pytest.ini", "[pytest]\n")
    result = github.run("audits/facts.audit.yaml")
    assert any("file=audits/facts.audit.yaml,line=" in line for line in result.outlines)


def test_elsewhere_there_is_no_annotation(project: Project) -> None:
    project.suite()
    assert not any(line.startswith("::") for line in project.run().outlines)


def test_the_step_summary_is_appended(github: Project) -> None:
    github.suite()
    (github.path / "step.md").write_text("# Before\n")
    github.run()
    run = github.result()
    assert run.folder is not None
    text = (github.path / "step.md").read_text(encoding="utf-8")
    assert text == f"# Before\n{(run.folder / 'summary.md').read_text(encoding='utf-8')}\n"


def test_a_full_step_summary_stays_as_it_is(github: Project) -> None:
    github.suite()
    (github.path / "step.md").write_text("x" * (1 << 20))
    github.run()
    assert (github.path / "step.md").stat().st_size == 1 << 20


def test_a_step_summary_that_cannot_be_written_is_told_of(github: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(github.path / "nowhere" / "step.md"))
    github.suite()
    result = github.run("-k", "vocabulary_size")
    assert result.ret == pytest.ExitCode.OK, "the verdicts are what counts"
    result.stdout.fnmatch_lines(["the step summary *step.md could not be written (No such file or directory)"])


def test_junit_holds_what_a_dashboard_needs(project: Project) -> None:
    project.suite(
        """\
        suite: limits
        audits:
          text:
            kind: tokenization
            words: [people]
            checks:
              special_tokens: {max: 1, margin: 0.5, xfail: {reason: known, expires: 2999-01-01}}
        """
    )
    project.run("--junit-xml=junit.xml", "-o", "junit_family=xunit1")
    cases = ET.parse(project.path / "junit.xml").getroot().iter("property")  # noqa: S314 - pytest wrote it just now
    assert {(case.get("name"), case.get("value")) for case in cases} == {
        ("verdict", "fail"),
        ("role", "confirmatory"),
        ("max", "1.0"),
        ("margin", "0.5"),
        ("value", "2.0"),
        ("n", "1"),
        ("clusters", "1"),
        ("unit", "tokens"),
        ("waiver", "known"),
        ("waiver_expires", "2999-01-01"),
    }


def test_a_swap_in_junit_and_in_ten_lines(project: Project) -> None:
    templates = ", ".join(f'"In town {number}, {{group}} are"' for number in range(12))
    project.suite(
        f"""\
        suite: swap
        audits:
          gender:
            kind: bias
            templates: [{templates}]
            groups: {{women: {{noun: women}}, men: {{noun: men}}}}
            samples: 2
            scorers: [length]
            checks:
              length_gap: {{margin: 1.5, why: a word and a half}}
        """
    )
    answer = "def handler(request):\n    return 'word ' * (5 + ({extra} if ' men ' in request.prompt else 0))\n"
    project.engine(answer.format(extra=0))
    project.run()
    project.engine(answer.format(extra=4))
    result = project.run("--baseline=latest", "--gate-only", "--junit-xml=junit.xml", "-o", "junit_family=xunit1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "gate failed: tiny against tiny: 1 check: 1 failed.",
            "  FAILED gender::length_gap 4 [[]4, 4[]] words; against the baseline worse: 4 [[]4, 4[]], margin 1.5",
        ],
        consecutive=True,
    )
    cases = ET.parse(project.path / "junit.xml").getroot().iter("property")  # noqa: S314 - pytest wrote it just now
    found = {case.get("name"): case.get("value") for case in cases}
    assert (found["baseline_verdict"], found["baseline_difference"], found["margin"]) == ("worse", "4.0", "1.5")


def test_gate_only(project: Project) -> None:
    project.suite()
    result = project.run("--gate-only")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(result.outlines) == 3
    result.stdout.re_match_lines(
        [
            r"gate failed: tiny: 3 checks: 1 failed, 2 passed\.$",
            r"  FAILED size::special_tokens 2 tokens, limit at most 1$",
            r"report: reports/tiny/.*/report\.html$",
        ],
        consecutive=True,
    )
    assert result.errlines == []


@pytest.mark.parametrize("arguments", [["-q"], ["-vv"], ["--color=yes"], ["-rA", "--tb=long"]], ids=str)
def test_gate_only_whatever_else_is_asked_for(project: Project, arguments: list[str]) -> None:
    project.suite()
    result = project.run("--gate-only", "-k", "words", *arguments)
    assert result.ret == pytest.ExitCode.OK
    assert len(result.outlines) == 3
    assert result.outlines[0] == "gate passed: tiny: 1 check: 1 passed."
    assert result.outlines[1] == "note: the run is narrowed"


def test_gate_only_from_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMAUDIT_GATE_ONLY", "1")
    project.suite()
    assert len(project.run().outlines) == 3


def test_gate_only_counts_the_tests_beside_the_checks(project: Project) -> None:
    project.suite()
    project.file("test_plain.py", "def test_plain():\n    assert False\n")
    result = project.run("--gate-only", "-k", "plain or vocabulary_size")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.outlines[0] == "gate failed: tiny: 1 check: 1 passed. 1 other test failed."


def test_gate_only_shows_everything_where_there_is_no_verdict(project: Project) -> None:
    project.suite("suite: x\naudits: 3\n")
    result = project.run("--gate-only")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["facts.audit.yaml:2:9: audits: expected a mapping, got 3", "*1 error in*"])


def test_gate_only_with_annotations(github: Project) -> None:
    github.suite()
    lines = github.run("--gate-only").outlines
    assert len(lines) == 4
    assert lines[-1].startswith("::error file=")


def test_gate_only_with_workers(project: Project) -> None:
    project.suite()
    result = project.spawn("--gate-only", "-n2", timeout=240)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(result.outlines) == 3, result.outlines


def test_gate_only_in_a_project_without_suites(project: Project) -> None:
    project.file("test_plain.py", "def test_plain():\n    assert True\n")
    result = project.run("--gate-only")
    result.assert_outcomes(passed=1)


def test_gate_only_says_what_kept_the_report_from_being_written(project: Project) -> None:
    project.suite()
    project.file(
        "saboteur.py",
        """\
        import pathlib


        def pytest_llmaudit_record(record):
            (folder,) = pathlib.Path("reports/tiny").iterdir()
            (folder / "tables").write_text("")
        """,
    )
    project.pytester.syspathinsert()
    lines = project.run("-psaboteur", "--gate-only").outlines
    assert re.match(r"the report could not be written: .*tables", lines[-1])


def test_a_second_attempt_is_told_of(project: Project) -> None:
    project.engine("import os\n\n\ndef handler(request):\n    return None\n", sha256="ab" * 32)
    project.suite()
    project.run()
    result = project.run("--seed=1")
    result.stdout.fnmatch_lines(["Attempt 2 at these suites with this model, *: every check has had one verdict."])
    run = project.result()
    assert [(attempt.number, attempt.seed) for attempt in run.attempts] == [(1, 0), (2, 1)]
    assert run.attempts[1].run_id == run.run_id
    assert run.attempts[0].verdicts["facts/size/special_tokens"] == "fail"
    project.run("--smoke")
    assert project.result().attempts == ()


def test_a_narrowed_run_does_not_adjust_over_what_is_left(project: Project) -> None:
    project.suite(
        """\
        suite: answers
        audits:
          occupations:
            kind: bias
            groups: {women: {noun: women}, men: {noun: men}}
            templates: {work: ["{group} work", "{group} rest"], home: ["{group} cook", "{group} clean"]}
            samples: 2
            scorers: [length, refusal, empty]
            checks:
              length_gap: {max: 3, why: a short clause}
              refusal_gap: {max: 0.1, why: one in ten}
              empty_gap: {role: exploratory}
        """
    )
    result = project.run("-k", "length_gap")
    result.stdout.fnmatch_lines(
        [
            "Narrowed run: 1 of 2 confirmatory checks of answers; 0 of 1 exploratory check of answers. A family is *",
        ]
    )
    confirmatory, exploratory = project.result().families
    assert (confirmatory.declared, confirmatory.seen, confirmatory.narrowed) == (2, 1, True)
    assert confirmatory.adjustment == "not adjusted: 1 of the 2 checks of the family ran"
    assert exploratory.seen == 0
    project.run()
    assert not any(family.narrowed for family in project.result().families)
