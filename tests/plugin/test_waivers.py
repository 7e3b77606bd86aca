"""A file of waivers, from the command line to the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_LATER = "{reason: known since May, expires: 2999-01-01}"


def test_a_waiver_in_the_root_folder_counts(project: Project) -> None:
    project.suite()
    project.file("waivers.yaml", f"facts/size/special_tokens: {_LATER}\nfacts/words/single_token_rate: {_LATER}\n")
    result = project.run("-v")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*size::special_tokens XFAIL (known since May)*",
            "*words::single_token_rate XPASS*",
            "*= llmaudit =*",
            "  size::special_tokens: known issue, accepted until 2999-01-01, * days left: known since May",
            "  words::single_token_rate: waiver no longer needed: the check passes; remove it",
        ]
    )
    run = project.result()
    waiver = next(record.waiver for record in run.records if record.check == "special_tokens")
    assert waiver is not None
    assert (waiver.reason, waiver.expires) == ("known since May", "2999-01-01")
    assert run.folder is not None
    for name in ("summary.md", "report.html"):
        text = (run.folder / name).read_text(encoding="utf-8")
        assert "Known issues" in text
        assert "passes: the waiver is no longer needed" in text


def test_a_file_by_name(project: Project) -> None:
    project.suite()
    project.file("waivers.yaml", "facts/size/nonsense: {}\n")
    project.file("ci/accepted.yaml", f"facts/size/special_tokens: {_LATER}\n")
    assert project.run("--waivers=ci/accepted.yaml").ret == pytest.ExitCode.OK


def test_a_file_that_is_not_there(project: Project) -> None:
    project.suite()
    result = project.run("--waivers=ci/waivers.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: ci/waivers.yaml:1:1: cannot be read: No such file or directory"])
    assert project.loads == []


def test_an_expired_waiver_stops_the_run_once(project: Project) -> None:
    project.suite()
    project.suite(
        "suite: more\naudits: {a: {kind: tokenization, words: [a], checks: {special_tokens: {max: 9}}}}\n", "more"
    )
    project.file("waivers.yaml", "facts/size/special_tokens: {reason: known, expires: 2020-01-01}\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = [line for line in result.errlines if "expired on 2020-01-01" in line]
    assert told == [
        "ERROR: waivers.yaml:1:53: 'facts/size/special_tokens'.expires: the waiver expired on 2020-01-01;"
        " renew it with a reason, or remove it"
    ]
    assert project.loads == []


def test_an_unknown_check(project: Project) -> None:
    project.suite()
    project.file("waivers.yaml", f"facts/size/special_token: {_LATER}\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["waivers.yaml:1:1: 'facts/size/special_token': unknown check *; did you mean 'special_tokens'? *"]
    )
    assert project.loads == []


def test_an_unknown_suite(project: Project) -> None:
    project.suite()
    project.file("waivers.yaml", f"fact/size/special_tokens: {_LATER}\n")
    result = project.run("--collect-only")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: waivers.yaml:1:1: *unknown suite 'fact'; did you mean 'facts'? (known: facts)"]
    )


def test_a_waiver_of_a_suite_that_is_not_of_this_session(project: Project) -> None:
    project.suite(name="suites/facts")
    project.suite(
        "suite: more\naudits: {a: {kind: tokenization, words: [a], checks: {special_tokens: {max: 9}}}}\n", "more"
    )
    project.file("waivers.yaml", f"facts/size/special_tokens: {_LATER}\n")
    project.file("pytest.ini", "[pytest]\n")
    assert project.run("more.audit.yaml").ret == pytest.ExitCode.OK
    assert project.run("-k", "more").ret == pytest.ExitCode.OK


def test_under_xdist(project: Project) -> None:
    project.suite()
    project.file("waivers.yaml", f"facts/size/special_tokens: {_LATER}\n")
    assert project.spawn("-n2", timeout=240).ret == pytest.ExitCode.OK
    assert project.verdicts()["size::special_tokens"] == "fail"
    project.file("waivers.yaml", "facts/size/special_tokens: {reason: known, expires: 2020-01-01}\n")
    result = project.spawn("-n2", timeout=240)
    assert result.ret != pytest.ExitCode.OK
    assert "the waiver expired on 2020-01-01" in result.stdout.str() + result.stderr.str()


def test_a_project_without_suites_may_have_such_a_file(project: Project) -> None:
    project.file("waivers.yaml", "this: is something else\n")
    project.file("test_plain.py", "def test_plain():\n    assert True\n")
    assert project.run().ret == pytest.ExitCode.OK
