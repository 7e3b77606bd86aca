"""One setting, four ways to give it; and what happens where another plugin was there before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_OTHER = """\
def pytest_addoption(parser):
    {where}.addoption("--model", dest="their_model", help="their model")
"""

_ANSWERS = """\
suite: answers
audits:
  answers:
    kind: bias
    groups: {women: {noun: women}, men: {noun: men}}
    templates: ["{group} are", "I saw {group}"]
    samples: 2
    scorers: [length]
    checks:
      length_gap: {role: exploratory}
"""


def _model(project: Project, *arguments: str) -> str:
    """The model that was loaded."""
    project.forget()
    project.run("-k", "words", *arguments)
    (model,) = project.loads
    return model


def test_precedence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.suite()
    project.options.remove("--model=tiny")
    project.file("pytest.toml", '[pytest]\nllmaudit_model = "from-ini"\n')
    assert _model(project) == "from-ini"
    monkeypatch.setenv("LLMAUDIT_MODEL", "from-environment")
    assert _model(project) == "from-environment"
    assert _model(project, "--model", "from-command-line") == "from-command-line"
    monkeypatch.setenv("LLMAUDIT_MODEL", "")
    assert _model(project) == "from-ini", "an empty variable is none"


@pytest.mark.parametrize("spelling", ["--model", "--llmaudit-model"])
def test_both_spellings(project: Project, spelling: str) -> None:
    project.suite()
    project.options.remove("--model=tiny")
    assert _model(project, f"{spelling}=given") == "given"


@pytest.mark.parametrize("where", ["parser.getgroup('theirs')", "parser.getgroup('llmaudit')", "parser"])
def test_another_plugin_has_the_short_spelling(project: Project, where: str) -> None:
    project.suite()
    project.file("theirs.py", _OTHER.format(where=where))
    project.pytester.syspathinsert()
    project.options.remove("--model=tiny")
    result = project.run("-ptheirs", "--model=theirs", "--llmaudit-model=ours", "-k", "words")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "llmaudit: model ours, *",
            "llmaudit: another plugin has --model; use --llmaudit-model",
        ]
    )
    assert project.loads == ["ours"]


def test_a_conftest_takes_the_short_spelling(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.suite()
    (project.path / "conftest.py").write_text(
        (project.path / "conftest.py").read_text() + _OTHER.format(where="parser")
    )
    monkeypatch.setenv("LLMAUDIT_LONG_OPTIONS_ONLY", "1")
    project.options[:2] = ["--llmaudit-engine=fake", "--llmaudit-model=ours"]
    project.run("--model=theirs", "-k", "words").assert_outcomes(passed=1)
    assert project.loads == ["ours"]


def test_long_options_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMAUDIT_LONG_OPTIONS_ONLY", "1")
    project.options[:2] = []
    text = project.run("--help").stdout.str()
    assert "--llmaudit-model" in text
    assert "  --model" not in text
    assert "--smoke" not in text.replace("--llmaudit-smoke", "")


def test_help(project: Project) -> None:
    result = project.run("--help")
    result.stdout.fnmatch_lines(
        [
            "language model audits (llmaudit):",
            "  --model*--llmaudit-model*",
            "  --engine*",
            "  --dtype*",
            "  --device*",
            "  --revision*",
            "  --quantization*",
            "  --base-url*",
            "  --seed*",
            "  --samples*",
            "  --reference*",
            "  --report-dir*",
            "  --smoke*",
            "*llmaudit_model (string)*",
        ]
    )


def test_reference(project: Project) -> None:
    project.suite("""\
suite: copies
audits:
  copy:
    kind: fidelity
    documents: {notes: ["One two three.", "Four five six.", "Seven eight nine."]}
    variants: {half: {dtype: float16}}
    checks: {kl_mean.half: {role: exploratory}, kl_mean.model: {role: exploratory}}
""")
    project.run("--reference", "other").assert_outcomes(passed=2)
    # Only where another model is the reference the one under audit is compared too.
    assert project.run().ret == pytest.ExitCode.INTERRUPTED


def test_seed(project: Project) -> None:
    project.suite(_ANSWERS)
    answers: dict[str, list[str]] = {}
    for seed in ("0", "1", "1"):
        project.run("--seed", seed, "--report-dir", f"reports{seed}").assert_outcomes(passed=1)
        result = project.result(f"reports{seed}")
        assert result.seed == int(seed)
        texts = [sample["text"] for sample in project.samples(f"reports{seed}")]
        assert answers.setdefault(seed, texts) == texts
    assert answers["0"] != answers["1"]


def test_samples(project: Project) -> None:
    project.suite(_ANSWERS)
    project.run()
    assert len(project.asked) == 2 * 2 * 2
    project.forget()
    project.run("--samples", "5")
    assert len(project.asked) == 2 * 2 * 5
    assert ("samples", "5") in [(s.name, s.value) for s in project.result().audits[0].settings]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--seed=abc", "--seed abc: not a whole number"),
        ("--seed=-1", "--seed -1: must be at least 0"),
        ("--samples=0", "--samples 0: must be at least 1"),
        ("--batch-size=0", "--batch-size 0: must be at least 1"),
        ("--batch-size=many", "--batch-size many: not a whole number"),
        ("--samples=many", "--samples many: not a whole number"),
    ],
)
def test_a_bad_number(project: Project, argument: str, message: str) -> None:
    project.suite()
    result = project.run(argument)
    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*.py*")
    assert project.loads == []


def test_a_bad_number_does_not_disturb_a_project_without_suites(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMAUDIT_SEED", "abc")
    project.file("test_plain.py", "def test_plain():\n    assert True\n")
    project.run().assert_outcomes(passed=1)


def test_report_folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.suite()
    project.file("pytest.toml", '[pytest]\nllmaudit_report_dir = "from-ini"\n')
    project.run("-k", "words")
    assert project.result("from-ini").records
    monkeypatch.setenv("LLMAUDIT_REPORT_DIR", str(project.path / "from-environment"))
    project.run("-k", "words")
    assert project.result("from-environment").records
    project.run("-k", "words", "--report-dir=from/command/line")
    assert project.result("from/command/line").records
    assert not (project.path / "reports").exists()


def test_aliases_of_the_project(project: Project) -> None:
    project.suite()
    project.file("pyproject.toml", '[tool.llmaudit.models]\nours = "owner/name"\n[tool.pytest]\n')
    # Not `fake`, whose models are not looked up; the conftest's engine is asked first all the same.
    project.options[:2] = ["--engine=auto", "--model=ours"]
    project.run("-k", "words").assert_outcomes(passed=1)
    assert project.loads == ["ours"]
