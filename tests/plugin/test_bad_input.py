"""Every mistake is told in one line, with its place, before a model is loaded; never by a traceback."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from llmaudit.plugins import installed_kinds

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

KINDS = tuple(installed_kinds())
_BIAS = """\
suite: bad input
audits:
  gender:
    kind: bias
    groups: {women: {noun: women}, men: {noun: men}}
    templates: ["{group} are", "I saw {group}"]
    scorers: [length]
    checks:
      length_gap: {max: 3}
"""


def _refused(project: Project, *arguments: str) -> list[str]:
    """The lines between the headline of the collection error and the end of the errors."""
    result = project.run(*arguments)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert project.loads == []
    assert not list((project.path / "reports").rglob("*.*"))
    lines: list[str] = result.outlines
    text = "\n".join(lines)
    assert "Traceback" not in text
    assert ".py:" not in text
    start = next(number for number, line in enumerate(lines) if "ERROR collecting" in line)
    end = next(number for number, line in enumerate(lines) if "short test summary info" in line)
    return lines[start + 1 : end]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        pytest.param(
            "kind: bias",
            "kind: biass",
            "facts.audit.yaml:4:11: audits.gender.kind: unknown kind 'biass'; did you mean 'bias'? "
            f"(known: {', '.join(KINDS)})",
            id="kind",
        ),
        pytest.param(
            "length_gap:",
            "lenght_gap:",
            "facts.audit.yaml:9:7: audits.gender.checks.lenght_gap: unknown metric 'lenght_gap'; did you mean "
            "'length_gap'? (known: length_gap, length_distribution_gap, counterfactual_similarity, similarity_deficit, "
            "missing_rate)",
            id="metric",
        ),
        pytest.param(
            "length_gap:",
            "single_token_rate:",
            "facts.audit.yaml:9:7: audits.gender.checks.single_token_rate: unknown metric "
            "'single_token_rate'; did you mean 'missing_rate'? (known: length_gap, length_distribution_gap, "
            "counterfactual_similarity, similarity_deficit, missing_rate)",
            id="metric of another kind",
        ),
        pytest.param(
            "length_gap:",
            "length_gap.women-people:",
            "facts.audit.yaml:9:7: audits.gender.checks.length_gap.women-people: unknown metric "
            "'length_gap.women-people'; did you mean 'length_gap.women-men'? (known: length_gap, length_gap.women-men)",
            id="facet",
        ),
        pytest.param(
            "templates:",
            "tempaltes:",
            "facts.audit.yaml:6:5: audits.gender: unknown key 'tempaltes'; did you mean 'templates'? (known: kind, "
            "question, checks, skip, xfail, variants, axes, noun, groups, reference, min_cell, templates, samples, "
            "sampling, scorers, prompt, mask)",
            id="key",
        ),
        pytest.param(
            "{max: 3}",
            "{maximum: 3, min: 1}",
            "facts.audit.yaml:9:20: audits.gender.checks.length_gap: unknown key 'maximum'; did you mean "
            "'max'? (known: max, min, margin, why, role, on_inconclusive, skip, xfail)",
            id="key of a check",
        ),
        pytest.param(
            "{max: 3}",
            "{why: none}",
            "facts.audit.yaml:9:19: audits.gender.checks.length_gap: a confirmatory check needs a limit: max, min or "
            "margin (or role: exploratory)",
            id="no limit",
        ),
        pytest.param(
            "{max: 3}",
            "{max: a lot}",
            "facts.audit.yaml:9:25: audits.gender.checks.length_gap.max: expected a number, got 'a lot'",
            id="a limit that is no number",
        ),
        pytest.param(
            "groups: {women: {noun: women}, men: {noun: men}}",
            "groups: {}",
            "facts.audit.yaml:5:13: audits.gender.groups: needs at least 2 entries",
            id="no groups",
        ),
        pytest.param(
            "groups: {women: {noun: women}, men: {noun: men}}",
            "groups: []",
            "facts.audit.yaml:5:13: audits.gender.groups: expected a mapping, got a list",
            id="an empty list of groups",
        ),
        pytest.param(
            "groups: {women: {noun: women}, men: {noun: men}}",
            "axes: {age: {young: young, old: old}, gender: {women: women, men: men}}",
            "facts.audit.yaml:4:5: audits.gender: missing key 'noun'",
            id="axes without a noun",
        ),
        pytest.param(
            "groups: {women: {noun: women}, men: {noun: men}}",
            "axes: {age: {young: young}, gender: {women: women, men: men}}",
            "facts.audit.yaml:5:17: audits.gender.axes.age: needs at least 2 entries, got 1",
            id="an axis of one level",
        ),
        pytest.param(
            "men: {noun: men}}",
            "men: {noun: men}}\n    reference: man",
            "facts.audit.yaml:6:16: audits.gender.reference: 'man' is no group; did you mean 'men'? "
            "(known: women, men)",
            id="a reference that is no group",
        ),
        pytest.param(
            '["{group} are", "I saw {group}"]',
            '[["{group} are", "{group} do", "I saw {group}"]]\n    samples: 2',
            "facts.audit.yaml:4:5: audits.gender: templates: '{group} are' has 3 paraphrases: samples must be at least "
            "3, not 2",
            id="more paraphrases than samples",
        ),
        pytest.param(
            '"{group} are"',
            '["{group} are", "{grup} are"]',
            "facts.audit.yaml:6:33: audits.gender.templates[0][1]: unknown slot {grup}; did you mean {group}? (known: "
            "does, group, has, is, object, possessive, possessive_pronoun, pronoun_does, pronoun_has, pronoun_is, "
            "pronoun_was, reflexive, subject, was)",
            id="a slot of a paraphrase",
        ),
        pytest.param(
            '"{group} are"',
            '"people are"',
            "facts.audit.yaml:6:17: audits.gender.templates[0]: the template has no slot {group}: every group would "
            "get the same prompt",
            id="no slot",
        ),
        pytest.param(
            '["{group} are", "I saw {group}"]',
            "[]",
            "facts.audit.yaml:4:5: audits.gender: templates: needs at least one template",
            id="no templates",
        ),
        pytest.param(
            "scorers: [length]",
            "scorers: [lenght]",
            "facts.audit.yaml:7:15: audits.gender.scorers[0]: unknown scorer 'lenght'; did you mean 'length'? "
            "(known: empty, length, refusal, regard, sentiment, toxicity)",
            id="scorer",
        ),
        pytest.param(
            "    checks:\n      length_gap: {max: 3}\n",
            "    checks: {}\n",
            "facts.audit.yaml:8:13: audits.gender.checks: needs at least one check",
            id="no checks",
        ),
        pytest.param(
            "    checks:\n      length_gap: {max: 3}\n",
            "",
            "facts.audit.yaml:4:5: audits.gender: missing key 'checks': needs at least one check",
            id="checks left out",
        ),
        pytest.param(
            "      length_gap: {max: 3}\n",
            "      length_gap: {max: 3}\n      length_gap: {max: 4}\n",
            "facts.audit.yaml:10:7: audits.gender.checks.length_gap: duplicate key; it stands on line 9, column 7 "
            "already",
            id="a check twice",
        ),
        pytest.param(
            "  gender:\n",
            "  women and men:\n",
            "facts.audit.yaml:3:3: audits.'women and men': bad name 'women and men'; a name is made of letters, "
            "digits, '_', '.' and '-'",
            id="a name that pytest cannot select",
        ),
    ],
)
def test_a_mistake(project: Project, right: str, wrong: str, message: str) -> None:
    assert _BIAS.count(right) == 1
    project.suite(_BIAS.replace(right, wrong))
    (line,) = _refused(project)
    assert line == message


def test_a_duplicate_audit(project: Project) -> None:
    project.suite(_BIAS + textwrap.indent("gender:\n  kind: bias\n", "  "))
    assert _refused(project) == [
        "facts.audit.yaml:10:3: audits.gender: duplicate key; it stands on line 3, column 3 already"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("suite: none\naudits: {}\n", "facts.audit.yaml:2:9: audits: needs at least one audit"),
        ("suite: none\naudits:\n", "facts.audit.yaml:2:8: audits: needs at least one audit"),
        ("suite: none\n", "facts.audit.yaml:1:1: missing key 'audits': needs at least one audit"),
        ("", "facts.audit.yaml:1:1: the file is empty"),
        ("hello\n", "facts.audit.yaml:1:1: expected a mapping, got 'hello'"),
        (
            '{"suite": [1, 2\n',
            "facts.audit.yaml:2:1: expected ',' or ']' to go on with the list opened on line 1",
        ),
        ("suite: a: b\n", "facts.audit.yaml:1:9: ':' makes no sense here; a text that holds ': ' needs quotes"),
    ],
)
def test_no_suite(project: Project, text: str, message: str) -> None:
    project.suite(text)
    assert _refused(project) == [message]


def test_no_text(project: Project) -> None:
    project.suite().write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    assert _refused(project) == ["facts.audit.yaml:1:1: the byte 0x89 is not UTF-8 text; save the file as UTF-8"]


def test_all_mistakes_at_once(project: Project) -> None:
    project.suite(
        """\
        suite: many mistakes
        audits:
          one:
            kind: biass
            checks: {length_gap: {max: 1}}
          two:
            kind: bias
            groups: {women: {noun: women}}
            templates: ["{grup} are"]
            checks: {sentiment_gap: {max: a lot}}
          three:
            kind: tokenization
            words: [people]
            checks: {premium: {max: 1}, single_token_rate: {maxx: 1}}
        """
    )
    places = [line.partition(": ")[0] for line in _refused(project)]
    assert places == [f"facts.audit.yaml:{place}" for place in ("4:11", "8:13", "9:17", "10:35", "14:14", "14:53")]


def test_a_bad_suite_beside_a_good_one(project: Project) -> None:
    project.suite()
    project.suite(_BIAS.replace("kind: bias", "kind: biass"), name="bad")
    assert _refused(project)
    result = project.run("--continue-on-collection-errors")
    result.assert_outcomes(passed=2, failed=1, errors=1)
    assert len(project.result().records) == 3


def _said_before_the_run(project: Project, *arguments: str) -> str:
    """The one line that pytest says instead of running anything."""
    result = project.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert project.asked == []
    assert project.loads == []
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    (line,) = [line for line in result.errlines if line]
    return line.removeprefix("ERROR: ")


def test_no_model(project: Project) -> None:
    project.suite()
    project.options.remove("--model=tiny")
    assert _said_before_the_run(project) == (
        "no model to audit: say --model NAME (--model smollm2-135m-instruct is the small default of the shipped "
        "suites), set LLMAUDIT_MODEL, or llmaudit_model in the ini file"
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("gema-2b-it", "no model 'gema-2b-it': did you mean 'gemma-2b-it'? Tried: a folder, a .gguf file, an alias. "),
        ("nonesuch", "no model 'nonesuch': Tried: a folder, a .gguf file, an alias. Give the path of "),
        ("./nonesuch", "./nonesuch: there is no such folder"),
        ("nonesuch.gguf", "nonesuch.gguf: there is no such file"),
    ],
)
def test_a_model_that_does_not_exist(project: Project, model: str, message: str) -> None:
    project.suite()
    project.options[:2] = [f"--model={model}"]
    assert _said_before_the_run(project).startswith(message)


def test_a_report_folder_that_cannot_be_written(project: Project) -> None:
    project.suite()
    # Not a matter of permissions: these do not stop root, who runs tests in many a container.
    project.file("occupied", "a file\n")
    message = _said_before_the_run(project, "--report-dir=occupied/reports")
    assert message.startswith(f"the report folder {project.path}/occupied/reports/tiny/")
    assert message.endswith(" cannot be written (Not a directory); choose another with --report-dir")


def test_bad_aliases(project: Project) -> None:
    project.suite()
    project.file("pyproject.toml", "[tool.llmaudit.models]\nours = 3\n[tool.pytest]\n")
    project.options[:2] = ["--model=ours"]
    assert _said_before_the_run(project) == (
        f"{project.path}/pyproject.toml: [tool.llmaudit.models] holds names and what they stand for, both text"
    )
