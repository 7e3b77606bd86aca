"""Engines that cannot answer: what stops, what goes on, and what the user reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_REFUSES_WOMEN = """\
def handler(request):
    if request.text == " women":
        raise {error}
"""


def test_an_engine_error_is_one_line_per_check_of_its_audit(project: Project) -> None:
    project.engine(_REFUSES_WOMEN.format(error='llmaudit.EngineError("the server went away (HTTP 502)")'))
    project.suite(
        """\
        suite: errors
        audits:
          before:
            kind: tokenization
            words: [people]
            checks: {single_token_rate: {min: 0.9}}
          broken:
            kind: tokenization
            words: [women]
            checks: {single_token_rate: {min: 0.9}, tokens_per_word: {max: 2}}
          after:
            kind: tokenization
            words: [men]
            checks: {single_token_rate: {min: 0.9}}
        """,
        name="errors",
    )
    result = project.run()
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*_ ERROR at setup of broken: single_token_rate _*",
            "the server went away (HTTP 502)",
            "*_ ERROR at setup of broken: tokens_per_word _*",
            "the server went away (HTTP 502)",
            "*= llmaudit =*",
            "ERROR   broken::single_token_rate  the server went away (HTTP 502)",
            "ERROR   broken::tokens_per_word    the server went away (HTTP 502)",
            "PASSED  before::single_token_rate  *",
            "PASSED  after::single_token_rate *",
            "4 checks: 2 error, 2 passed.",
        ],
        consecutive=True,
    )
    run = project.result()
    assert run.complete
    assert [(record.audit, record.verdict, record.reason) for record in run.records if record.verdict == "error"] == [
        ("broken", "error", "the server went away (HTTP 502)"),
        ("broken", "error", "the server went away (HTTP 502)"),
    ]
    assert [audit.audit for audit in run.audits] == ["before", "after"]
    assert project.asked == [" people", " women", " men"], "what failed is not asked again for the next check"


def test_a_defect_of_an_engine_is_an_error_with_its_place(project: Project) -> None:
    project.engine(_REFUSES_WOMEN.format(error='ZeroDivisionError("a defect")'))
    project.suite()
    result = project.run()
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*conftest.py:*: in handler", "E   ZeroDivisionError: a defect"])
    # Pytest's own way to the audit would be hundreds of lines before the one that matters.
    result.stdout.no_fnmatch_line("*_pytest*runner.py*")
    run = project.result()
    assert list(project.verdicts().values()) == ["pass", "fail", "error"]
    assert run.records[-1].reason == "ZeroDivisionError: a defect"
    assert run.complete


def test_tb_is_obeyed(project: Project) -> None:
    project.engine(_REFUSES_WOMEN.format(error='ZeroDivisionError("a defect")'))
    project.suite()
    project.run("--tb=long", "-k", "words").stdout.fnmatch_lines(
        ["> *raise ZeroDivisionError(*", "E  *ZeroDivisionError: a defect"]
    )
    project.run("--tb=line", "-k", "words").stdout.fnmatch_lines(
        ["*_ ERROR at setup of words*", "E   ZeroDivisionError: a defect", "*= llmaudit =*"]
    )


def test_an_engine_without_the_capability(project: Project) -> None:
    project.engine(capabilities="llmaudit.Generate")
    project.suite()
    result = project.run("-v")
    result.assert_outcomes(skipped=3)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*words::single_token_rate SKIPPED (*",
            "*= llmaudit =*",
            "SKIPPED  size::vocabulary_size     the engine fake does not answer Tokenize",
            "SKIPPED  words::single_token_rate  the engine fake does not answer Tokenize",
        ]
    )
    assert {record.reason for record in project.result().records} == {"the engine fake does not answer Tokenize"}
    assert project.asked == []


def test_a_model_that_cannot_be_loaded_is_said_once(project: Project) -> None:
    project.engine(load='raise llmaudit.ModelError("tiny: out of memory; try --dtype bfloat16")')
    project.suite()
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*_ ERROR at setup of size: vocabulary_size _*",
            "tiny: out of memory; try --dtype bfloat16",
            "*= llmaudit =*",
            "ERROR  size::vocabulary_size  tiny: out of memory; try --dtype bfloat16",
            "Incomplete run: 1 of 3 planned checks have a result.",
            "*! the model cannot be audited: tiny: out of memory; try --dtype bfloat16 !*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*.py:*")
    assert project.loads == ["tiny"]
    run = project.result()
    assert run.model is None
    assert not run.complete


def test_a_model_whose_loading_is_defective_is_loaded_once(project: Project) -> None:
    project.engine(load='raise RuntimeError("CUDA error")')
    project.suite()
    project.run().assert_outcomes(errors=3)
    assert project.loads == ["tiny"]


def test_a_request_that_fails_is_a_missing_answer(project: Project) -> None:
    project.engine(
        """\
        def handler(request):
            return llmaudit.Failure("timeout") if request.text == " women" else None
        """
    )
    project.suite()
    project.run("-k", "words")
    (record,) = project.result().records
    assert record.verdict != "error"
    assert record.estimate is not None
    assert (record.estimate.n, record.estimate.missing) == (2, 1)
    assert [sample["response"] for sample in project.samples()] == ["Failure", "Tokens", "Tokens"]


def test_an_engine_of_another_plugin_names_its_models_as_it_likes(project: Project) -> None:
    project.suite()
    project.options[:2] = ["--engine=mainframe", "--model=the big one"]
    project.run("-k", "words").assert_outcomes(passed=1)
    assert project.loads == ["the big one"]


def test_an_engine_that_nobody_has(project: Project) -> None:
    project.suite()
    (project.path / "conftest.py").unlink()
    project.options[:2] = ["--engine=fke", "--model=tiny"]
    result = project.run()
    result.stdout.fnmatch_lines(
        ["--engine fke: not an engine; did you mean 'fake'? (known: auto, hf, tokenizer, openai, fake)"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_record_hook(project: Project) -> None:
    project.suite()
    project.file(
        "listener.py",
        """\
        import json


        def pytest_llmaudit_record(record):
            with open("records.jsonl", "a") as stream:
                stream.write(json.dumps([record["audit"], record["check"], record["verdict"]]) + chr(10))
        """,
    )
    project.pytester.syspathinsert()
    project.run("-plistener")
    assert (project.path / "records.jsonl").read_text().splitlines() == [
        '["size", "vocabulary_size", "pass"]',
        '["size", "special_tokens", "fail"]',
        '["words", "single_token_rate", "pass"]',
    ]
