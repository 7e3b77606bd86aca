"""pytest's own ways of choosing checks: what is not chosen never asks the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_SIZE = [" people", " work"]
_WORDS = [" women", " men", " students"]

_TWO_KINDS = """\
suite: two kinds
audits:
  tokens:
    kind: tokenization
    words: [people]
    checks:
      single_token_rate: {min: 0.9}
      tokens_per_word: {role: exploratory}
  answers:
    kind: bias
    groups: {women: {noun: women}, men: {noun: men}}
    templates: ["{group} are", "I saw {group}"]
    samples: 1
    scorers: [length]
    checks:
      length_gap: {max: 3, on_inconclusive: warn}
"""


def test_everything_is_asked_once(project: Project) -> None:
    project.suite()
    project.run().assert_outcomes(passed=2, failed=1)
    assert project.asked == _SIZE + _WORDS
    assert project.loads == ["tiny"]


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["-k", "single_token_rate"], _WORDS),
        (["-k", "not words"], _SIZE),
        (["-k", "vocabulary_size or special_tokens"], _SIZE),
        (["facts.audit.yaml::words"], _WORDS),
        (["facts.audit.yaml::size::special_tokens"], _SIZE),
        (["--deselect", "facts.audit.yaml::size"], _WORDS),
        (["--deselect", "facts.audit.yaml::words::single_token_rate"], _SIZE),
    ],
    ids=" ".join,
)
def test_deselected_audits_do_not_ask(project: Project, arguments: list[str], asked: list[str]) -> None:
    project.suite()
    project.run(*arguments)
    assert project.asked == asked


def test_a_node_id_selects_one_check(project: Project) -> None:
    project.suite()
    project.run("facts.audit.yaml::size::vocabulary_size").assert_outcomes(passed=1)
    assert project.verdicts() == {"size::vocabulary_size": "pass"}
    assert project.result().plan == ("facts.audit.yaml::size::vocabulary_size",)
    assert project.result().complete


@pytest.mark.parametrize(
    ("arguments", "checks"),
    [
        (["-m", "bias"], ["answers::length_gap"]),
        (["-m", "not bias"], ["tokens::single_token_rate", "tokens::tokens_per_word"]),
        (
            ["-m", "tokenization or bias"],
            ["tokens::single_token_rate", "tokens::tokens_per_word", "answers::length_gap"],
        ),
        (["-k", "exploratory"], ["tokens::tokens_per_word"]),
        (["-k", "tokenization and not exploratory"], ["tokens::single_token_rate"]),
    ],
    ids=" ".join,
)
def test_kind_and_role(project: Project, arguments: list[str], checks: list[str]) -> None:
    project.suite(_TWO_KINDS)
    result = project.run("--strict-markers", *arguments)
    assert result.ret == pytest.ExitCode.OK
    assert list(project.verdicts()) == checks


def test_the_kinds_are_markers(project: Project) -> None:
    result = project.run("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.bias: *", "@pytest.mark.tokenization: *"])


def test_x_stops_before_the_next_audit(project: Project) -> None:
    project.suite()
    result = project.run("-x")
    result.assert_outcomes(passed=1, failed=1)
    assert project.asked == _SIZE
    run = project.result()
    assert not run.complete
    assert len(run.plan) == 3
    result.stdout.fnmatch_lines(["Incomplete run: 2 of 3 planned checks have a result."])


def test_lf_asks_again_for_the_failing_audit_only(project: Project) -> None:
    project.suite()
    project.run()
    project.forget()
    result = project.run("--lf")
    result.assert_outcomes(failed=1)
    assert project.asked == _SIZE
    assert project.verdicts() == {"size::special_tokens": "fail"}


def test_lf_knows_an_inconclusive_check(project: Project) -> None:
    project.suite(_TWO_KINDS.replace(", on_inconclusive: warn", ""))
    project.run()
    assert project.run("--lf").ret == pytest.ExitCode.TESTS_FAILED
    assert project.verdicts() == {"answers::length_gap": "inconclusive"}


def test_nothing_selected_leaves_nothing_behind(project: Project) -> None:
    project.suite()
    assert project.run("-k", "no_such_check").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert project.asked == []
    assert not (project.path / "reports").exists()
