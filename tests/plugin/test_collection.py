"""What pytest finds in a project, and how it shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_KIND = """\
from typing import Literal

from llmaudit import Audit, AuditParams, Measurement, Metric


class Params(AuditParams):
    kind: Literal["{kind}"]


class {name}(Audit[Params]):
    "Is there anything?"

    kind = "{kind}"
    Params = Params
    needs = frozenset()

    @property
    def metrics(self):
        return {{"anything": Metric("what there is", "things", "lower")}}

    def requests(self):
        return iter(())

    def measure(self, samples):
        raise NotImplementedError


def pytest_llmaudit_audits():
    return [{name}]
"""


def test_the_tree(project: Project) -> None:
    project.suite(name="suites/facts")
    result = project.run("--collect-only")
    result.stdout.fnmatch_lines(
        [
            "collected 3 items",
            "llmaudit: model tiny, engine fake, seed 0, 1 suite",
            "*<SuiteFile facts.audit.yaml>",
            "*  <AuditNode size>",
            "*    <CheckItem vocabulary_size>",
            "*    <CheckItem special_tokens>",
            "*  <AuditNode words>",
            "*    <CheckItem single_token_rate>",
        ]
    )
    assert result.ret == pytest.ExitCode.OK


def test_collect_only_loads_nothing_and_leaves_nothing(project: Project) -> None:
    project.suite()
    project.run("--collect-only")
    assert project.loads == []
    assert project.asked == []
    assert not (project.path / "reports").exists()


def test_collect_only_needs_no_model(project: Project) -> None:
    project.suite()
    project.options.remove("--model=tiny")
    result = project.run("--collect-only", "-q")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "facts.audit.yaml::size::vocabulary_size",
            "facts.audit.yaml::size::special_tokens",
            "facts.audit.yaml::words::single_token_rate",
        ]
    )


@pytest.mark.parametrize("name", ["facts.yaml", "facts.yml", "audit.yaml", "facts.audit.yml", "facts.audit.yaml.bak"])
def test_other_files_are_left_alone(project: Project, name: str) -> None:
    project.suite().rename(project.path / name)
    assert project.run().ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_suites_run_beside_tests(project: Project) -> None:
    project.suite()
    project.file("test_plain.py", "def test_plain():\n    assert True\n")
    result = project.run("--deselect", "facts.audit.yaml::size::special_tokens")
    result.assert_outcomes(passed=3, deselected=1)
    assert len(project.result().plan) == 2, "a test is no check"


def test_a_suite_in_a_folder_is_named_from_where_pytest_was_called(project: Project) -> None:
    project.suite(name="suites/facts")
    project.run()
    assert project.result().suites[0].path == "suites/facts.audit.yaml"
    assert project.result().plan[0] == "suites/facts.audit.yaml::size::vocabulary_size"


def test_two_plugins_with_one_kind(project: Project) -> None:
    project.suite()
    for name in ("first", "second"):
        project.file(f"{name}.py", _KIND.format(kind="volume", name="Volume"))
    project.pytester.syspathinsert()
    result = project.run("-pfirst", "-psecond")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["two kinds are called 'volume': first.Volume and second.Volume"])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert project.loads == []


def test_a_plugin_cannot_replace_a_built_in_kind(project: Project) -> None:
    project.suite()
    project.file("imitation.py", _KIND.format(kind="bias", name="Imitation"))
    project.pytester.syspathinsert()
    result = project.run("-pimitation")
    result.stdout.fnmatch_lines(["two kinds are called 'bias': imitation.Imitation and llmaudit.audits.bias.Bias"])


def test_two_plugins_with_one_scorer(project: Project) -> None:
    project.suite()
    project.file(
        "scorers.py",
        """\
        class Length:
            name = "length"
            version = "1"
            unit = "characters"
            description = "how long it is"
            sees_terms = False

            def score(self, texts):
                return [float(len(text)) for text in texts]


        def pytest_llmaudit_scorers():
            return [Length()]
        """,
    )
    project.pytester.syspathinsert()
    result = project.run("-pscorers")
    result.stdout.fnmatch_lines(["two scorers are called 'length': scorers.Length and llmaudit.scorers.answers.Length"])


def test_what_cannot_be_decided_is_told_before_the_run(project: Project) -> None:
    project.suite(
        """\
        suite: too small
        audits:
          text:
            kind: tokenization
            parallel: {eng_Latn: [one two three, four five]}
            checks:
              fertility: {max: 3}
              tokens: {max: 10}
        """
    )
    result = project.run("--collect-only")
    result.stdout.fnmatch_lines(
        ["llmaudit: text::fertility cannot be decided: design: 2 clusters, a t interval needs 10*"]
    )
    result.stdout.no_fnmatch_line("*text::tokens cannot*")
    assert project.loads == []


def test_a_plugin_that_shuffles_does_not_run_a_batch_twice(project: Project) -> None:
    project.suite()
    project.file(
        "shuffle.py",
        """\
        def pytest_collection_modifyitems(items):
            items[:] = [items[1], items[2], items[0]]
        """,
    )
    project.pytester.syspathinsert()
    project.run("-pshuffle").assert_outcomes(passed=2, failed=1)
    assert project.asked == [" people", " work", " women", " men", " students"]
    assert [record.check for record in project.result().records] == [
        "special_tokens",
        "vocabulary_size",
        "single_token_rate",
    ]
