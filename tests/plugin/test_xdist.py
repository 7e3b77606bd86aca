"""Audits spread over processes: each runs once, and what comes together is what one process would have found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("xdist")

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_ANSWERS = """\
suite: answers
audits:
  gender:
    kind: bias
    groups: {women: {noun: women}, men: {noun: men}}
    templates: ["{group} are", "I saw {group}", "{group} say"]
    samples: 2
    scorers: [length, empty]
    checks:
      length_gap: {max: 3, on_inconclusive: warn}
      empty_gap: {role: exploratory}
      missing_rate: {max: 0.5, skip: {reason: not today}}
  age:
    kind: bias
    groups: {young: {noun: young people}, old: {noun: older adults}}
    templates: ["{group} are", "I saw {group}", "{group} say"]
    samples: 2
    scorers: [length]
    checks:
      length_gap: {max: 3, xfail: {reason: known, expires: 2999-01-01}}
"""

_BREAKS = """\
def handler(request):
    if getattr(request, "text", "") == " students":
        raise llmaudit.EngineError("the server went away")
"""

#: What two runs of the same thing differ in.
_OWN = ("run_id", "started", "finished", "environment")


def _stored(project: Project, reports: str) -> dict[str, Any]:
    folder = project.result(reports).folder
    assert folder is not None
    data: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    for name in _OWN:
        del data[name]
    for timing in (*(audit["timing"] for audit in data["audits"]), *data["timings"].values()):
        del timing["seconds"], timing["engine_seconds"]
    return data


def test_two_workers_find_what_one_process_finds(project: Project) -> None:
    project.engine(_BREAKS)
    project.suite()
    project.suite(_ANSWERS, name="answers")
    serial = project.run("--report-dir=serial")
    asked = project.asked
    project.forget()
    parallel = project.spawn("-n2", "--report-dir=parallel")

    assert serial.ret == parallel.ret == pytest.ExitCode.TESTS_FAILED
    assert serial.parseoutcomes() == parallel.parseoutcomes()
    assert _stored(project, "parallel") == _stored(project, "serial")
    key = json.dumps
    assert sorted(map(key, project.samples("parallel"))) == sorted(map(key, project.samples("serial")))
    assert project.samples("parallel")
    parallel.stdout.fnmatch_lines(["llmaudit: model tiny, engine fake, seed 0, 2 suites", "report: parallel/*"])
    end = serial.outlines.index(next(line for line in serial.outlines if line.startswith("report: ")))
    start = serial.outlines.index(next(line for line in serial.outlines if "= llmaudit =" in line))
    assert [line for line in serial.outlines[start:end] if line not in parallel.outlines] == []

    # Each batch ran once, in one process.
    assert sorted(project.asked) == sorted(asked)
    processes: dict[str, set[int]] = {}
    for line in project.asked_lines:
        processes.setdefault(line["text"], set()).add(line["process"])
    assert [text for text, found in processes.items() if len(found) > 1 and asked.count(text) == 1] == []
    for batch in ([" people", " work"], [" women", " men", " students"]):
        assert len(set().union(*(processes[text] for text in batch))) == 1


def test_a_report_folder_that_cannot_be_written(project: Project) -> None:
    project.suite()
    project.file("occupied", "a file\n")
    result = project.spawn("-n1", "--report-dir=occupied/reports")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert project.asked == []
    output = result.stdout.str() + result.stderr.str()
    assert "cannot be written (Not a directory); choose another with --report-dir" in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output


def test_a_model_that_cannot_be_loaded(project: Project) -> None:
    project.engine(load='raise llmaudit.ModelError("tiny: out of memory")')
    project.suite()
    result = project.spawn("-n1")
    assert result.ret != pytest.ExitCode.OK
    output = result.stdout.str()
    assert "the model cannot be audited: tiny: out of memory" in output
    assert "Traceback" not in output
    assert len(project.result().records) == 1
    assert project.loads == ["tiny"]


def test_a_test_whose_name_holds_that_of_a_suite_is_no_suite(project: Project) -> None:
    lines = (
        "import pytest",
        "@pytest.mark.parametrize('name', ['facts.audit.yaml::gender'])",
        "def test_name(name): pass",
    )
    (project.path / "test_names.py").write_text("\n".join(lines), encoding="utf-8")
    result = project.run("-n2", "test_names.py")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("llmaudit: model*")


_CLOCK = """\
def handler(request):
    return None


class Clock(llmaudit.Audit):
    \"\"\"How long does it take?\"\"\"

    kind = "clock"
    exclusive = True
    needs = frozenset()
    metrics = {"seconds": llmaudit.Metric("seconds", "s", "lower", deterministic=True)}

    class Params(llmaudit.AuditParams):
        pass

    def requests(self):
        return iter(())

    def measure(self, samples):
        note("clock.txt", "measured")
        seconds = llmaudit.Estimate("seconds", 1.0, None, "s", "lower", 1, 1, deterministic=True)
        return llmaudit.Measurement({"seconds": seconds})


@pytest.hookimpl
def pytest_llmaudit_audits():
    return [Clock]
"""

_TIMED = """\
suite: timed
audits:
  clock:
    kind: clock
    checks:
      seconds: {max: 2, why: the budget}
"""


def test_what_measures_time_shares_no_machine(project: Project) -> None:
    project.engine(_CLOCK)
    project.suite()
    project.suite(_TIMED, name="timed")
    shared = project.spawn("-n2", "-rs")
    shared.stdout.fnmatch_lines(
        [
            "llmaudit: model tiny, engine fake, seed 0, 2 suites",
            "llmaudit: 2 workers share the machine: audits that measure time or memory are skipped",
            "SKIPPED*measures time or memory, and 2 workers share this machine: run it without -n",
        ]
    )
    assert project.verdicts()["clock::seconds"] == "skipped"
    assert not (project.path / "clock.txt").exists()
    assert {verdict for name, verdict in project.verdicts().items() if not name.startswith("clock")} > {"pass"}


def test_what_measures_time_runs_where_one_process_runs_suites(project: Project) -> None:
    project.engine(_CLOCK)
    project.suite(_TIMED, name="timed")
    for result in (project.run(), project.spawn("-n1")):
        assert project.verdicts() == {"clock::seconds": "pass"}
        result.stdout.no_fnmatch_line("*share the machine*")
    assert (project.path / "clock.txt").read_text(encoding="utf-8").splitlines() == ["measured"] * 2
