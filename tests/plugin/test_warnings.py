"""A project that makes errors of warnings can use the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_SUITE = """\
suite: both kinds
audits:
  answers:
    kind: bias
    groups: {women: {noun: women}, men: {noun: men}}
    templates: ["{group} are", "I saw {group}"]
    samples: 2
    checks:
      sentiment_gap: {max: 3, on_inconclusive: warn}
      missing_rate: {role: exploratory}
  tokens:
    kind: tokenization
    words: [people]
    parallel: {eng_Latn: [one two, three], deu_Latn: [eins zwei, drei]}
    checks:
      premium: {max: 3, on_inconclusive: warn}
      vocabulary_size: {min: 500}
"""


def test_errors_for_warnings(project: Project) -> None:
    """In a process of its own, where everything is imported under the project's filter."""
    project.suite(_SUITE)
    project.file("pytest.toml", '[pytest]\nfilterwarnings = ["error"]\n')
    result = project.spawn("-v")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*answers::sentiment_gap INCONCLUSIVE*", "*tokens::premium INCONCLUSIVE*"])
    result.stdout.fnmatch_lines(["*LLMAuditWarning: inconclusive: sentiment_gap = *"])
    assert [record.verdict for record in project.result().records] == [
        "inconclusive",
        "measured",
        "inconclusive",
        "pass",
    ]


@pytest.mark.parametrize("missing", ["women", ""], ids=["one group", "everything"])
def test_missing_answers_under_errors_for_warnings(project: Project, missing: str) -> None:
    project.engine(
        f"""\
        def handler(request):
            asked = getattr(request, "prompt", None) or request.text
            return llmaudit.Failure("timeout") if {missing!r} in asked.lower() else None
        """
    )
    project.suite(_SUITE)
    result = project.run("-W", "error", "-k", "answers")
    result.stdout.no_fnmatch_line("*RuntimeWarning*")
    assert project.verdicts() == {"answers::sentiment_gap": "inconclusive", "answers::missing_rate": "measured"}


def test_a_project_may_ignore_the_warning(project: Project) -> None:
    project.suite(_SUITE)
    result = project.run("-k", "premium", "-W", "ignore::UserWarning")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*LLMAuditWarning*")


def test_max_warnings(project: Project) -> None:
    if not hasattr(pytest.ExitCode, "MAX_WARNINGS_ERROR"):
        pytest.skip("pytest 9.1 brought --max-warnings")
    project.suite(_SUITE)
    result = project.run("-k", "premium", "--max-warnings=0")
    assert result.ret == pytest.ExitCode.MAX_WARNINGS_ERROR
