"""What a run leaves behind, and what it says on the terminal."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from llmaudit import RunError, load_run

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_BIAS = """\
suite: answers
description: Do answers differ in length?
audits:
  occupations:
    kind: bias
    groups: {women: {noun: women}, men: {noun: men}}
    templates:
      work: ["{group} at work are", "{group} in an office are"]
      home: ["{group} at home are", "{group} in a kitchen are"]
    samples: 2
    scorers: [length, sentiment]
    checks:
      length_gap: {max: 3, why: a short clause}
      sentiment_gap: {role: exploratory}
"""


def test_layout(project: Project) -> None:
    project.suite(_BIAS)
    project.run()
    folder = project.result().folder
    assert folder is not None
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names >= {
        "run.json",
        "report.html",
        "summary.md",
        "samples.jsonl.gz",
        "tables/answers-occupations.csv",
        "tables/answers-occupations.tex",
    }
    assert any(re.fullmatch(r"figures/.*\.svg", name) for name in names)
    assert any(re.fullmatch(r"figures/.*\.pdf", name) for name in names)
    assert not any(name.startswith("samples/") for name in names), "the parts are joined"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d.*", folder.name)
    assert folder.parent.name == "tiny"
    latest = folder.parent.parent / "latest"
    assert latest.read_text() == f"tiny/{folder.name}\n"


def test_samples(project: Project) -> None:
    project.suite(_BIAS)
    project.run()
    samples = project.samples()
    assert len(samples) == 4 * 2 * 2
    assert {(sample["suite"], sample["audit"]) for sample in samples} == {("answers", "occupations")}
    first = samples[0]
    assert first["asked"] == "Women at work are"
    assert first["cluster"] == "{group} at work are"
    assert first["factors"] == {"domain": "work", "group": "women"}
    assert first["scores"]["length"] == len(first["text"].split())
    frame = project.result().samples()
    assert len(frame) == len(samples)
    assert "factor.group" in frame.columns


def test_two_files_cannot_be_the_suite_of_one_name(project: Project) -> None:
    """Whoever copies a suite to change it keeps both files; under one name their records and families would mix."""
    project.suite()
    project.suite(name="copy")
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*.audit.yaml:1:1: suite: the name 'facts' is that of *.audit.yaml too; give one of*"])


def test_run_json(project: Project) -> None:
    project.suite(_BIAS)
    project.run("--seed=3")
    run = project.result()
    assert run.complete
    assert not run.smoke
    assert run.seed == 3
    assert run.plan == (
        "facts.audit.yaml::occupations::length_gap",
        "facts.audit.yaml::occupations::sentiment_gap",
    )
    assert [record.check for record in run.records] == ["length_gap", "sentiment_gap"]
    (suite,) = run.suites
    assert (suite.name, suite.path) == ("answers", "facts.audit.yaml")
    assert re.fullmatch("[0-9a-f]{64}", suite.sha256)
    assert run.model is not None
    assert run.model.name == "tiny"
    assert "--seed=3" in run.environment["command_line"]
    assert run.started <= run.finished
    assert run.audits[0].timing.requests == 16
    assert len(run.estimates()) == len(run.audits[0].estimates) > 2


def test_header_and_summary(project: Project) -> None:
    project.suite(
        """\
        suite: all verdicts
        audits:
          text:
            kind: tokenization
            words: [people, work]
            parallel: {eng_Latn: [one two three, four five]}
            checks:
              vocabulary_size: {min: 500}
              single_token_rate: {min: 0.5, max: 2}
              special_tokens: {max: 1}
              fertility: {max: 3}
              tokens_per_word: {max: 0.5, role: exploratory}
              unknown_share: {max: 0, skip: {reason: not today}}
              tokens: {max: 1, xfail: {reason: known, expires: 2999-01-01}}
        """
    )
    result = project.run("--seed=7")
    result.stdout.fnmatch_lines(
        [
            "collected 7 items",
            "llmaudit: model tiny, engine fake, seed 7, 1 suite",
        ],
        consecutive=True,
    )
    result.stdout.fnmatch_lines(
        [
            "*= llmaudit =*",
            "FAILED                text::special_tokens     2         n=1    limit at most 1",
            "FAILED (exploratory)  text::tokens_per_word    1         n=2    limit at most 0.5",
            "INCONCLUSIVE          text::fertility          1 [[]1, 1[]]  n=2/2  limit below 3",
            "WAIVED                text::tokens             5         n=2    limit at most 1",
            "PASSED                text::vocabulary_size    1,000     n=1    limit at least 500",
            "PASSED                text::single_token_rate  1         n=2    limit between 0.5 and 2",
            "SKIPPED               text::unknown_share      not today",
            "  text::special_tokens: value 2 is above 1",
            "  text::fertility: design: 2 clusters, a t interval needs 10: add templates",
            "  text::tokens: known issue, accepted until 2999-01-01, * days left: known",
            "7 checks: 2 failed, 1 inconclusive, 1 waived, 2 passed, 1 skipped.",
            "report: reports/tiny/*/report.html",
        ],
        consecutive=True,
    )
    assert len([line for line in result.outlines if "= llmaudit =" in line]) == 1


def test_two_suites_are_counted(project: Project) -> None:
    project.suite()
    project.suite(_BIAS, name="answers")
    project.run("--collect-only").stdout.fnmatch_lines(["llmaudit: model tiny, engine fake, seed 0, 2 suites"])


@pytest.mark.parametrize("arguments", [[], ["-q"], ["-v"]], ids=str)
def test_a_run_without_failures(project: Project, arguments: list[str]) -> None:
    project.suite()
    result = project.run(*arguments, "-k", "words")
    result.stdout.fnmatch_lines(
        [
            "*= llmaudit =*",
            "PASSED  words::single_token_rate  1  n=3  limit at least 0.9",
            "Narrowed run: 1 of 3 confirmatory checks of facts. A family is what its suite declares: *",
            "1 check: 1 passed.",
            "report: reports/tiny/*/report.html",
            "*1 passed, 2 deselected in *",
        ],
        consecutive=True,
    )


def test_without_a_terminal(project: Project) -> None:
    """A wrapper of pytest may switch the terminal reporter off."""
    project.suite()
    assert project.run("-p", "no:terminal").ret == pytest.ExitCode.TESTS_FAILED
    assert len(project.result().records) == 3


def test_junit(project: Project) -> None:
    project.suite(_BIAS)
    project.run("--junit-xml=junit.xml", "-o", "junit_family=xunit1")
    cases = ET.parse(project.path / "junit.xml").getroot().iter("testcase")  # noqa: S314 - pytest wrote it just now
    found = {
        (case.get("classname"), case.get("name")): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in cases
    }
    assert list(found) == [
        ("facts.audit.yaml.occupations", "length_gap"),
        ("facts.audit.yaml.occupations", "sentiment_gap"),
    ]
    judged, explored = found.values()
    record = project.result().records[0]
    estimate = record.estimate
    assert estimate is not None
    assert judged["verdict"] == "inconclusive"
    assert judged["max"] == "3.0"
    assert "min" not in judged
    assert (float(judged["value"] or ""), float(judged["low"] or "")) == (estimate.value, estimate.low)
    assert (judged["n"], judged["clusters"], judged["unit"]) == ("16", "4", "words")
    assert explored["verdict"] == "measured"


def test_a_model_that_is_a_path_names_its_folder(project: Project) -> None:
    project.suite()
    (project.path / "models" / "my model").mkdir(parents=True)
    project.options[1] = "--model=models/my model"
    project.run("-k", "words")
    folder = project.result().folder
    assert folder is not None
    assert folder.parent.name == "my--model"


def test_a_hub_id_names_its_folder(project: Project) -> None:
    project.suite()
    project.options[1] = "--model=owner/name"
    project.run("-k", "words")
    folder = project.result().folder
    assert folder is not None
    assert folder.parent.name == "owner--name"


def test_a_report_that_cannot_be_written_keeps_run_json(project: Project) -> None:
    project.suite()
    project.file(
        "saboteur.py",
        """\
        import pathlib


        def pytest_llmaudit_record(record):
            # The disk is full from the first record on, so to say: a file stands where a folder must be.
            (folder,) = pathlib.Path("reports/tiny").iterdir()
            (folder / "tables").write_text("")
        """,
    )
    project.pytester.syspathinsert()
    result = project.run("-psaboteur")
    result.stdout.fnmatch_lines(["*= llmaudit =*", "the report could not be written: *tables*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.assert_outcomes(passed=2, failed=1)
    (folder,) = (project.path / "reports" / "tiny").iterdir()
    assert len(load_run(folder).records) == 3
    assert (folder / "samples.jsonl.gz").exists()


def test_no_records_no_folder(project: Project) -> None:
    project.engine(load="raise KeyboardInterrupt")
    project.suite()
    assert project.run().ret == pytest.ExitCode.INTERRUPTED
    assert list((project.path / "reports" / "tiny").iterdir()) == []
    with pytest.raises(RunError):
        project.result()


def test_samples_without_a_record(project: Project) -> None:
    """Ctrl-C may come between the batch and its first check."""
    project.suite()
    project.file("impatient.py", "def pytest_runtest_call(item):\n    raise KeyboardInterrupt\n")
    project.pytester.syspathinsert()
    result = project.run("-pimpatient")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    (folder,) = (project.path / "reports" / "tiny").iterdir()
    assert [path.name for path in folder.iterdir()] == ["samples"]
