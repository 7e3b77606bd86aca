"""The example of an audit kind works in each of the ways in which pytest finds a plugin."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# pytester forgets the modules that a run inside this process imported, and numpy cannot be imported twice.
import llmaudit.pytest_plugin.suite_nodes
import llmaudit.pytest_plugin.writing  # noqa: F401 - see above
from llmaudit import Run, load_run

_HERE = Path(__file__).parent
_OPTIONS = ["--engine=fake", "--model=tiny", "-pno:hypothesispytest", "-pno:anyio"]

_LOUD = """\
import pytest

import llmaudit


@pytest.hookimpl
def pytest_llmaudit_make_engine(options):
    return llmaudit.FakeEngine(lambda request: f"STOP THAT, {request.prompt.split()[-1]}!")
"""


@pytest.fixture(autouse=True)
def _suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("LLMAUDIT_")]:
        monkeypatch.delenv(variable)
    shutil.copy(_HERE / "example.audit.yaml", pytester.path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package is installed."""
    folder = tmp_path_factory.mktemp("installed")
    source, target = folder / "source", folder / "target"
    # A copy, since setuptools builds beside the sources.
    shutil.copytree(_HERE, source, ignore=shutil.ignore_patterns("__pycache__", "test_*"))
    if importlib.util.find_spec("pip") and importlib.util.find_spec("setuptools"):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*command, "--target", target, source], check=True, capture_output=True)
        return target
    information = target / "llmaudit_example_shout-1.0.dist-info"
    information.mkdir(parents=True)
    shutil.copy(source / "llmaudit_shout.py", target)
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: llmaudit-example-shout\nVersion: 1.0\nRequires-Dist: llmaudit\n"
    )
    (information / "entry_points.txt").write_text("[pytest11]\nllmaudit_shout = llmaudit_shout\n")
    return target


def _run(pytester: pytest.Pytester) -> Run:
    return load_run(pytester.path / "reports" / "latest")


def _passes(pytester: pytest.Pytester, result: pytest.RunResult) -> None:
    result.assert_outcomes(passed=1)
    (record,) = _run(pytester).records
    assert (record.kind, record.check, record.verdict) == ("shout", "upper_share", "pass")
    assert record.estimate is not None
    assert (record.estimate.n, record.estimate.clusters) == (36, 12)


def test_through_its_entry_point(pytester: pytest.Pytester, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed))
    result = pytester.runpytest_subprocess(*_OPTIONS, timeout=60)
    result.stdout.fnmatch_lines(["plugins: *llmaudit-example-shout-1.0*"])
    _passes(pytester, result)


def test_the_schema_knows_an_installed_kind(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed))
    command = [sys.executable, "-c", "from llmaudit.cli import main; main()", "schema"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    schema = json.loads(done.stdout)
    kinds = schema["properties"]["audits"]["additionalProperties"]["properties"]["kind"]["oneOf"]
    assert {"const": "shout", "description": "How loud are the answers?"} in kinds


def test_with_p(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert(_HERE)
    _passes(pytester, pytester.runpytest_inprocess(*_OPTIONS, "-p", "llmaudit_shout"))


def test_named_by_a_conftest(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert(_HERE)
    pytester.makeconftest('pytest_plugins = ["llmaudit_shout"]')
    _passes(pytester, pytester.runpytest_inprocess(*_OPTIONS))


def test_defined_in_a_conftest(pytester: pytest.Pytester) -> None:
    shutil.copy(_HERE / "llmaudit_shout.py", pytester.path / "conftest.py")
    _passes(pytester, pytester.runpytest_inprocess(*_OPTIONS, "-m", "shout", "--strict-markers"))


def test_without_the_plugin(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess(*_OPTIONS)
    result.stdout.fnmatch_lines(
        ["example.audit.yaml:5:11: audits.small_talk.kind: unknown kind 'shout' (known: *bias, *tokenization)"]
    )


def test_a_loud_model_fails(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert(_HERE)
    pytester.makeconftest(_LOUD)
    result = pytester.runpytest_inprocess(*_OPTIONS, "-p", "llmaudit_shout")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["fail: upper_share = 0.* proportion (n=36 in 12 clusters, limit below 0.2): *"])
    (record,) = _run(pytester).records
    assert record.evidence[0].answer == "STOP THAT, is!"
    assert record.evidence[0].scores["upper_share"] == pytest.approx(8 / 10)


def test_missing_answers_decide_nothing(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert(_HERE)
    pytester.makeconftest(_LOUD.replace('f"STOP THAT, {request.prompt.split()[-1]}!"', 'llmaudit.Failure("timeout")'))
    pytester.runpytest_inprocess(*_OPTIONS, "-p", "llmaudit_shout")
    (record,) = _run(pytester).records
    assert (record.verdict, record.reason) == ("inconclusive", "36 of 36 answers are missing")


def test_smoke(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert(_HERE)
    result = pytester.runpytest_inprocess(*_OPTIONS, "-p", "llmaudit_shout", "--smoke")
    result.assert_outcomes(passed=1)
    assert [record.verdict for record in _run(pytester).records] == ["measured"]


def test_too_few_prompts_are_told_before_the_run(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert(_HERE)
    suite = pytester.path / "example.audit.yaml"
    lines = [line for line in suite.read_text().splitlines() if " the " not in line or "prompts" in line]
    suite.write_text("\n".join(lines))
    result = pytester.runpytest_inprocess(*_OPTIONS, "-p", "llmaudit_shout", "--collect-only")
    result.stdout.fnmatch_lines(
        ["llmaudit: small_talk::upper_share cannot be decided: design: * clusters, a t interval needs 10*"]
    )
