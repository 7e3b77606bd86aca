"""A run against a baseline: worse, equivalent, better or inconclusive, and what is refused before anything runs."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from llmaudit import Run
    from tests.plugin.conftest import Project

_TEMPLATES = ", ".join(f'"{place}, {{group}} are"' for place in [f"In town {number}" for number in range(12)])

_SUITE = f"""\
suite: swap
audits:
  gender:
    kind: bias
    templates: [{_TEMPLATES}]
    groups: {{women: {{noun: women}}, men: {{noun: men}}}}
    samples: 4
    scorers: [length]
    checks:
      length_gap: {{margin: 1.5, why: a word and a half}}
"""

#: How many words a model adds for men: none, or some.
_HANDLER = """\
def handler(request):
    import zlib
    draw = zlib.crc32(f"{{request.prompt}}{{request.sample}}".encode()) % 3
    return " ".join(["word"] * (5 + draw + ({extra} if " men " in request.prompt else 0)))
"""


def _model(project: Project, extra: int, sha256: str | None = None) -> None:
    project.engine(_HANDLER.format(extra=extra), sha256=sha256)


def _baseline(project: Project, extra: int = 0, *options: str) -> Run:
    _model(project, extra)
    assert project.run(*options).ret == pytest.ExitCode.OK
    project.forget()
    return project.result()


def test_the_same_again_is_equivalent(project: Project) -> None:
    project.suite(_SUITE)
    before = _baseline(project)
    result = project.run("--baseline=latest")
    assert result.ret == pytest.ExitCode.OK
    (record,) = project.result().records
    assert record.baseline is not None
    assert (record.verdict, record.baseline.verdict, record.baseline.difference) == ("pass", "equivalent", 0.0)
    assert (record.baseline.run_id, record.baseline.clusters) == (before.run_id, 12)
    assert record.baseline.absolute == "measured"
    kept = project.result().baseline
    assert kept is not None
    assert (kept.run_id, kept.source) == (before.run_id, "--baseline latest")


def test_a_candidate_that_does_harm_is_worse_and_fails_the_run(project: Project) -> None:
    project.suite(_SUITE)
    _baseline(project)
    _model(project, 4)
    result = project.run("--baseline=latest")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (record,) = project.result().records
    assert record.baseline is not None
    assert (record.verdict, record.baseline.verdict, record.gates) == ("fail", "worse", True)
    assert record.baseline.difference == pytest.approx(4)
    result.stdout.fnmatch_lines(["fail: length_gap = 4*against the baseline worse: *"])


def test_a_candidate_that_mends_is_better(project: Project) -> None:
    project.suite(_SUITE)
    _baseline(project, 4)
    _model(project, 0)
    assert project.run("--baseline=latest").ret == pytest.ExitCode.OK
    (record,) = project.result().records
    assert record.baseline is not None
    assert record.baseline.verdict == "better"


def test_too_few_clusters_leave_it_open(project: Project) -> None:
    few = '"Here, {group} are", "There, {group} are", "Now, {group} are"'
    project.suite(_SUITE.replace(_TEMPLATES, few))
    _baseline(project)
    result = project.run("--baseline=latest")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (record,) = project.result().records
    assert (record.verdict, record.gates) == ("inconclusive", True)
    assert "3 clusters" in record.reason


def test_without_a_baseline_a_margin_alone_is_measured(project: Project) -> None:
    project.suite(_SUITE)
    assert _baseline(project).records[0].verdict == "measured"


def test_a_limit_counts_beside_the_margin(project: Project) -> None:
    project.suite(_SUITE.replace("margin: 1.5", "max: 2, margin: 1.5"))
    _model(project, 4)
    project.run()
    result = project.run("--baseline=latest")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (record,) = project.result().records
    assert record.baseline is not None
    assert (record.verdict, record.baseline.verdict, record.baseline.absolute) == ("fail", "equivalent", "fail")


def test_a_changed_limit_does_not_make_the_measurement_another(project: Project) -> None:
    project.suite(_SUITE)
    _baseline(project)
    project.suite(_SUITE.replace("margin: 1.5", "max: 9, margin: 2.5"))
    assert project.run("--baseline=latest").ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("samples: 4", "samples: 6", "samples 4 there, 6 here"),
        ("In town 3", "In town 99", "other templates"),
        ("kind: bias", "kind: bias\n    sampling: {temperature: 0.2}", "other sampling"),
        ("[length]", "[length, sentiment]", "other scorers"),
    ],
)
def test_another_measurement_is_refused_before_anything_runs(project: Project, old: str, new: str, said: str) -> None:
    project.suite(_SUITE)
    _baseline(project)
    project.suite(_SUITE.replace(old, new))
    result = project.run("--baseline=latest")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not project.asked
    text = result.stderr.str() + result.stdout.str()
    assert f"swap/gender: {said}" in text
    assert "These can still be compared: none." in text
    assert "--allow-unlike" in text


def test_another_seed_is_refused_and_compared_where_that_is_allowed(project: Project) -> None:
    project.suite(_SUITE)
    _baseline(project)
    result = project.run("--baseline=latest", "--seed=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*seed 0 there, 1 here*"])
    assert project.run("--baseline=latest", "--seed=1", "--allow-unlike").ret == pytest.ExitCode.OK
    (record,) = project.result().records
    assert record.baseline is not None
    assert (record.baseline.verdict, record.baseline.unlike) == ("equivalent", ("seed 0 there, 1 here",))


def test_what_still_can_be_compared_is_named(project: Project) -> None:
    two = _SUITE + _SUITE.partition("audits:\n")[2].replace("gender:", "again:")
    project.suite(two)
    _baseline(project)
    project.suite(two.replace("samples: 4", "samples: 6", 1))
    result = project.run("--baseline=latest")
    result.stderr.fnmatch_lines(
        ["*swap/gender: samples 4 there, 6 here", "*These can still be compared: again::length_gap."]
    )


def test_a_model_is_run_first_and_closed_before_the_candidate_loads(project: Project) -> None:
    project.suite(_SUITE)
    _model(project, 0)
    result = project.run("--baseline=model:old")
    assert result.ret == pytest.ExitCode.OK
    assert project.loads == ["old", "tiny"]
    run = project.result()
    assert run.baseline is not None
    assert (run.baseline.model, run.baseline.source) == ("old", "--baseline model:old")
    (folder,) = (project.path / "reports" / "old").iterdir()
    assert (folder / "run.json").is_file()
    assert (folder / "samples.jsonl.gz").is_file()
    assert run.folder is not None
    assert (project.path / "reports" / "latest").read_text().strip() == str(
        run.folder.relative_to(project.path / "reports")
    )


def test_a_model_that_answered_before_is_not_asked_again(project: Project) -> None:
    project.suite(_SUITE)
    _model(project, 0, sha256="00")
    project.run("--model=old")
    project.forget()
    project.run("--baseline=model:old", "--no-header")
    # Both fakes have one hash, so that the store knows the candidate's answers as well.
    assert not project.asked


def test_a_model_that_is_not_there_is_one_message(project: Project) -> None:
    project.suite(_SUITE)
    refuse = "if options.model == 'old': raise llmaudit.ModelError('no such model')"
    project.engine(_HANDLER.format(extra=0), load=refuse)
    result = project.run("--baseline=model:old")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "the baseline cannot be audited: no such model" in result.stdout.str()
    assert not project.asked


def test_a_model_first_is_refused_where_workers_run(project: Project) -> None:
    project.suite(_SUITE)
    result = project.spawn("--baseline=model:old", "-n2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "then name that run: --baseline latest" in result.stderr.str() + result.stdout.str()


def test_workers_judge_against_a_run(project: Project) -> None:
    project.suite(_SUITE)
    _baseline(project)
    assert project.spawn("--baseline=latest", "-n2").ret == pytest.ExitCode.OK
    (record,) = project.result().records
    assert record.baseline is not None
    assert record.baseline.verdict == "equivalent"
    assert project.result().baseline is not None


def test_workers_refuse_what_is_unlike_audit_by_audit(project: Project) -> None:
    project.suite(_SUITE)
    _baseline(project)
    result = project.spawn("--baseline=latest", "--samples=6", "-n2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (record,) = project.result().records
    assert record.verdict == "error"
    assert "samples 4 there, 6 here" in record.reason
    assert not project.asked


def test_an_accepted_run_is_the_baseline_of_later_ones(project: Project) -> None:
    project.suite(_SUITE)
    accepted = _baseline(project, 0, "--baseline-update")
    _model(project, 4)
    project.run()
    assert project.run("--baseline=accepted").ret == pytest.ExitCode.TESTS_FAILED
    (record,) = project.result().records
    assert record.baseline is not None
    assert (record.baseline.run_id, record.baseline.verdict) == (accepted.run_id, "worse")


def test_nothing_but_a_whole_run_is_accepted(project: Project) -> None:
    project.suite(_SUITE.replace("why: a word and a half}", "why: long}\n      missing_rate: {max: 0.5}"))
    _model(project, 0)
    result = project.run("--baseline-update", "-k", "length_gap")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["not accepted as the baseline: only 1 of the 2 checks of facts.audit.yaml were selected"]
    )
    result = project.run("--baseline-update", "--smoke")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert project.run("--baseline=accepted").ret == pytest.ExitCode.USAGE_ERROR


def _damage(folder: Path, how: str) -> None:
    file = folder / "run.json"
    text = file.read_text(encoding="utf-8")
    data = json.loads(text)
    changed = {
        "truncated": text[: len(text) // 2],
        "newer": json.dumps({**data, "schema_version": 99}),
        "smoke": json.dumps({**data, "smoke": True}),
        "no run": "[]",
        "other suites": text.replace('"swap', '"another'),
    }
    file.write_text(changed[how], encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("truncated", "not a readable run.json"),
        ("newer", "schema version 99"),
        ("smoke", "a smoke run measures nothing"),
        ("no run", "not a readable run.json"),
        ("other suites", "a run of other suites (another); this one is of swap"),
    ],
)
def test_a_bad_baseline_is_one_message(project: Project, how: str, said: str) -> None:
    project.suite(_SUITE)
    folder = _baseline(project).folder
    assert folder is not None
    _damage(folder, how)
    result = project.run("--baseline=latest")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stderr.str()
    assert "Traceback" not in result.stderr.str()
    assert not project.asked


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("reports/tiny/1999", "there is no run here; the nearest is reports/tiny/"),
        ("nowhere/at/all", "there is no run here"),
        ("accepted", "no baseline was accepted yet"),
        ("model:", "names no model"),
    ],
)
def test_a_missing_baseline_is_one_message(project: Project, name: str, said: str) -> None:
    project.suite(_SUITE)
    _baseline(project)
    result = project.run(f"--baseline={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stderr.str()


def test_metrics_in_tokens_are_not_compared_across_tokenizers(project: Project) -> None:
    project.suite(
        "suite: facts\naudits:\n  size:\n    kind: tokenization\n    words: [people, work]\n    checks:\n"
        "      vocabulary_size: {min: 500, margin: 10 %}\n      tokens_per_word: {margin: 1}\n"
    )
    project.run()
    text = (project.path / "conftest.py").read_text()
    project.file("conftest.py", text.replace("sha256=None)", "sha256=None, tokenizer='other')"))
    assert project.run("--baseline=latest").ret == pytest.ExitCode.OK
    found = {record.check: record.baseline for record in project.result().records}
    assert found["vocabulary_size"] is not None
    assert found["tokens_per_word"] is not None
    assert found["vocabulary_size"].verdict == "not compared"
    assert "another tokenizer" in found["vocabulary_size"].reason
    assert found["tokens_per_word"].verdict == "equivalent"


def test_what_changed_is_kept_item_by_item(project: Project) -> None:
    project.suite(_SUITE)
    _baseline(project)
    _model(project, 4)
    project.run("--baseline=latest")
    (audit,) = project.result().audits
    (changed,) = audit.changed
    assert (changed.score, changed.matched, changed.answers_changed, changed.unmatched) == ("length", 96, 48, 0)
    assert (changed.risen, changed.fallen) == (48, 0)
    assert len(changed.items) == 20
    assert {item.after.count("word") - item.before.count("word") for item in changed.items} == {4}
    page = (project.result().folder / "report.html").read_text(encoding="utf-8")  # type: ignore[operator]
    assert "What changed" in page


def test_samples_that_cannot_be_read_are_said_to_be_missing(project: Project) -> None:
    project.suite(_SUITE)
    folder = _baseline(project).folder
    assert folder is not None
    samples = folder / "samples.jsonl.gz"
    samples.write_bytes(gzip.compress(b"{}")[:-6])
    assert project.run("--baseline=latest").ret == pytest.ExitCode.OK
    (audit,) = project.result().audits
    assert not audit.changed
    assert any("samples.jsonl.gz" in note for note in audit.notes)


def test_a_smoke_run_has_no_baseline(project: Project) -> None:
    project.suite(_SUITE)
    _baseline(project)
    assert project.run("--baseline=latest", "--smoke").ret == pytest.ExitCode.OK
    assert project.result().records[0].baseline is None
