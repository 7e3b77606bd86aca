"""What a check concludes, how pytest shows it, and what it does to the exit status."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

#: FakeEngine says that its vocabulary has 1000 tokens. Two sentences are too few clusters to decide anything about
#: text like them.
_GOOD = "vocabulary_size: {min: 500}"
_BAD = "special_tokens: {max: 1}"
_UNDECIDED = "fertility: {max: 3}"

_LATER = "expires: 2999-01-01"


def _suite(*checks: str, more: str = "") -> str:
    """A suite of one audit, where `checks` and `more` are lines of YAML."""
    keys = ["kind: tokenization", "words: [people]"]
    if _UNDECIDED[:9] in "".join(checks):  # only then, as a figure comes with it, which takes a while to draw
        keys.append("parallel: {eng_Latn: [one two three, four five]}")
    keys += [more] if more else []
    audit = "\n".join([*keys, "checks:", *(f"  {check}" for check in checks)])
    return "suite: verdicts\naudits:\n  text:\n" + textwrap.indent(audit, "    ") + "\n"


def _waived(check: str) -> str:
    return f"{check[:-1]}, xfail: {{reason: known since May, {_LATER}}}}}"


def test_words(project: Project) -> None:
    project.suite(_suite(_GOOD, _BAD, _UNDECIDED, "tokens_per_word: {role: exploratory}"))
    result = project.run("-v")
    result.stdout.fnmatch_lines(
        [
            "facts.audit.yaml::text::vocabulary_size PASSED*",
            "facts.audit.yaml::text::special_tokens FAILED*",
            "facts.audit.yaml::text::fertility INCONCLUSIVE*",
            "facts.audit.yaml::text::tokens_per_word MEASURED*",
            "*= 1 failed, 2 passed, 1 inconclusive in *",
        ]
    )


def test_letters(project: Project) -> None:
    project.suite(_suite(_GOOD, _BAD, _UNDECIDED, "tokens_per_word: {role: exploratory}"))
    project.run().stdout.fnmatch_lines(["facts.audit.yaml .Fi.*"])


def test_a_failure_is_one_sentence(project: Project) -> None:
    project.suite(_suite(_BAD))
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*_ text: special_tokens _*",
            "fail: special_tokens = 2 tokens (n=1, limit at most 1): value 2 is above 1",
            "*= llmaudit =*",
            "*short test summary info*",
            "FAILED facts.audit.yaml::text::special_tokens - fail: special_tokens = 2 toke*",
        ],
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*.py:*")


def test_a_pass_passes(project: Project) -> None:
    project.suite(_suite(_GOOD))
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    assert not project.result().records[0].gates


def test_inconclusive_fails_the_run(project: Project) -> None:
    project.suite(_suite(_UNDECIDED))
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*text::fertility: design: 2 clusters, a t interval needs 10: add templates"])
    record = project.result().records[0]
    assert (record.verdict, record.gates) == ("inconclusive", True)


def test_inconclusive_may_be_a_warning(project: Project) -> None:
    project.suite(_suite("fertility: {max: 3, on_inconclusive: warn}"))
    result = project.run("-v")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*text::fertility INCONCLUSIVE*",
            "*warnings summary*",
            "*LLMAuditWarning: inconclusive: fertility = 1 * design: 2 clusters*",
            "*= 1 warning, 1 inconclusive in *",
        ]
    )
    record = project.result().records[0]
    assert (record.verdict, record.gates) == ("inconclusive", False)


def test_a_failure_is_no_warning(project: Project) -> None:
    project.suite(_suite("special_tokens: {max: 1, on_inconclusive: warn}"))
    assert project.run().ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("check", "word"),
    [
        ("special_tokens: {max: 1, role: exploratory}", r"EXPLORED \(fail\)"),
        ("fertility: {max: 3, role: exploratory}", r"EXPLORED \(inconclusive\)"),
        ("vocabulary_size: {min: 500, role: exploratory}", r"EXPLORED \(pass\)"),
        ("vocabulary_size: {role: exploratory}", "MEASURED"),
    ],
)
def test_exploratory_never_fails(project: Project, check: str, word: str) -> None:
    project.suite(_suite(check))
    result = project.run("-v")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.re_match_lines(
        [rf".*::text::\w+ {word} .*", r"(PASSED|FAILED|MEASURED|INCONCLUSIVE) \(exploratory\) .*"]
    )
    assert not project.result().records[0].gates


def test_a_waived_failure(project: Project) -> None:
    project.suite(_suite(_waived(_BAD)))
    result = project.run("-v", "-rx")
    result.assert_outcomes(xfailed=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*text::special_tokens XFAIL (known since May)*",
            "WAIVED  text::special_tokens  2  n=1  limit at most 1",
            "1 check: 1 waived.",
            "XFAIL *special_tokens - known since May",
        ]
    )
    record = project.result().records[0]
    assert record.verdict == "fail"
    assert record.waiver is not None
    assert (record.waiver.reason, record.waiver.expires) == ("known since May", "2999-01-01")


def test_a_waived_check_that_passes(project: Project) -> None:
    project.suite(_suite(_waived(_GOOD)))
    result = project.run("-v")
    result.assert_outcomes(xpassed=1)
    assert result.ret == pytest.ExitCode.OK, "a pass is not a fault, also where the project says xfail_strict"
    result.stdout.fnmatch_lines(["*text::vocabulary_size XPASS*"])
    assert project.verdicts() == {"text::vocabulary_size": "pass"}


def test_a_strict_project_does_not_fail_for_a_waived_check_that_passes(project: Project) -> None:
    project.suite(_suite(_waived(_GOOD)))
    assert project.run("-o", "xfail_strict=true").ret == pytest.ExitCode.OK


def test_a_waiver_does_not_decide(project: Project) -> None:
    project.suite(_suite(_waived(_UNDECIDED)))
    result = project.run("-v")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*text::fertility INCONCLUSIVE*"])
    assert project.verdicts() == {"text::fertility": "inconclusive"}


def test_a_waiver_does_not_excuse_an_error(project: Project) -> None:
    project.engine(
        """\
        def handler(request):
            raise llmaudit.EngineError("the server went away")
        """
    )
    project.suite(_suite(_waived(_BAD)))
    result = project.run("-v")
    result.assert_outcomes(errors=1)
    assert project.verdicts() == {"text::special_tokens": "error"}


def test_a_waiver_of_a_whole_audit(project: Project) -> None:
    project.suite(_suite(_GOOD, _BAD, _UNDECIDED, more=f"xfail: {{reason: known since May, {_LATER}}}"))
    result = project.run("-v")
    result.stdout.fnmatch_lines(
        [
            "*text::vocabulary_size XPASS*",
            "*text::special_tokens XFAIL (known since May)*",
            "*text::fertility INCONCLUSIVE*",
        ]
    )


def test_an_expired_waiver(project: Project) -> None:
    project.suite(_suite(_waived(_BAD).replace("2999", "2020")))
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "facts.audit.yaml:7:74: audits.text.checks.special_tokens.xfail.expires: "
            "the waiver expired on 2020-01-01; renew it with a reason, or remove it"
        ]
    )
    assert project.loads == []


def test_a_skipped_check(project: Project) -> None:
    project.suite(_suite("special_tokens: {max: 1, skip: {reason: not for this model}}", _GOOD))
    result = project.run("-v", "-rs")
    result.assert_outcomes(skipped=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*text::special_tokens SKIPPED (not for this model)*",
            "SKIPPED  text::special_tokens   not for this model",
            "SKIPPED [[]1[]] facts.audit.yaml: not for this model",
        ]
    )
    run = project.result()
    assert run.records[0].reason == "not for this model"
    assert [audit.audit for audit in run.audits] == ["text"], "the audit ran though its first check was skipped"
    assert run.model is not None


def test_a_skipped_audit_does_not_ask(project: Project) -> None:
    project.suite(_suite(_GOOD, _BAD, more="skip: {reason: not for this model}"))
    result = project.run()
    result.assert_outcomes(skipped=2)
    assert result.ret == pytest.ExitCode.OK
    assert project.loads == []
    assert project.verdicts() == {"text::vocabulary_size": "skipped", "text::special_tokens": "skipped"}


@pytest.mark.parametrize("spelling", ["--smoke", "--llmaudit-smoke"])
def test_smoke(project: Project, spelling: str) -> None:
    project.suite(
        """\
        suite: smoke
        audits:
          answers:
            kind: bias
            groups: {women: {noun: women}, men: {noun: men}}
            templates: {work: ["{group} are", "I saw {group}"], home: ["{group} cook"]}
            samples: 5
            scorers: [length]
            checks:
              length_gap: {max: 0.001, why: nothing could pass}
        """
    )
    result = project.run(spelling, "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "llmaudit: model tiny, engine fake, seed 0, 1 suite, smoke run: nothing is judged",
            "*answers::length_gap MEASURED*",
            "Smoke run: nothing is judged. Two requests per cell were asked, to prove that everything runs.",
        ]
    )
    run = project.result()
    assert run.smoke
    assert [(record.verdict, record.reason) for record in run.records] == [("measured", "smoke run: nothing is judged")]
    assert len(project.asked) == 2 * 2 * 2, "two requests for each of two domains and two groups"


def test_smoke_from_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMAUDIT_SMOKE", "1")
    project.suite(_suite(_BAD))
    assert project.run().ret == pytest.ExitCode.OK
    assert project.result().smoke


def test_an_error_fails_a_smoke_run(project: Project) -> None:
    project.engine(
        """\
        def handler(request):
            raise llmaudit.EngineError("the server went away")
        """
    )
    project.suite(_suite(_GOOD))
    assert project.run("--smoke").ret == pytest.ExitCode.TESTS_FAILED
    assert project.verdicts() == {"text::vocabulary_size": "error"}
