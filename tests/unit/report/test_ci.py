"""What a CI system is told: escaped, bounded, and nothing that a model wrote."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.records import Waiver
from llmaudit.report.ci import Spot, gate_lines, step_summary, workflow_commands
from llmaudit.run import Run
from tests.unit.report.conftest import build_run

_COMMAND = re.compile(r"::(error|warning|notice) (?:file=([^,:]+),line=(\d+),)?title=([^,:]+(?:%3A%3A)?[^,:]*)::(.+)")


def parsed(command: str) -> tuple[str, ...]:
    found = _COMMAND.fullmatch(command)
    assert found is not None, command
    return tuple(group or "" for group in found.groups())


def test_annotations(run: Run) -> None:
    spots = {1: Spot("suites/a,b.audit.yaml", 12), 2: Spot("suites/a.audit.yaml", 13)}
    found = [parsed(command) for command in workflow_commands(run, spots)]
    assert [(level, line, title) for level, _, line, title, _ in found] == [
        ("error", "12", "occupations%3A%3Asentiment_gap fail"),
        ("error", "", "quantized%3A%3Akl error"),
        ("error", "13", "occupations%3A%3Aoccupation_gap inconclusive"),
        ("warning", "", "occupations%3A%3Aregard_gap inconclusive"),
        ("notice", "", "premiums%3A%3Apremium.shn_Mymr fail"),
    ]
    assert found[0][1] == "suites/a%2Cb.audit.yaml"
    assert found[0][4].startswith("fail: sentiment_gap = 0.183 [0.142, 0.225] compound (n=1200 in 24 clusters, limit")
    assert "accepted until 2027-01-01: No open tokenizer" in found[4][4]
    assert "Traceback" not in found[1][4], "the first line of an error is enough"


def test_a_needless_waiver_is_a_notice(run: Run) -> None:
    passed = replace(run.records[0], waiver=Waiver("known", "2027-01-01"))
    (command,) = workflow_commands(replace(run, records=(passed,)), {})
    assert parsed(command)[0] == "notice"
    assert command.endswith("; its waiver is no longer needed")


def test_an_explored_check_is_no_annotation(run: Run) -> None:
    explored = tuple(replace(record, role="exploratory", gates=False) for record in run.records[:5])
    assert workflow_commands(replace(run, records=explored), {}) == []


def test_ten_of_a_level(run: Run) -> None:
    failed = run.records[1]
    many = tuple(replace(failed, id=f"id{n}", order=n) for n in range(25))
    assert len(workflow_commands(replace(run, records=many), {})) == 10


@given(st.text(), st.text(min_size=1))
def test_a_command_is_one_line_whatever_is_in_it(reason: str, name: str) -> None:
    run = build_run()
    run = replace(run, records=(replace(run.records[1], reason=reason, order=0),))
    for command in workflow_commands(run, {0: Spot(name, 1)}):
        assert not re.search(r"[\r\n]", command)
        head = command.removeprefix("::error ").partition("::")[0]
        assert re.fullmatch(r"file=[^:,\r\n]*,line=1,title=[^:,\r\n]*", head)


def test_the_summary_is_whole_where_it_fits() -> None:
    assert step_summary("# a\n\nb\n", 100) == "# a\n\nb\n"


@given(st.text(min_size=1), st.integers(0, 400))
def test_the_summary_never_takes_more_than_its_room(text: str, room: int) -> None:
    assert len(step_summary(text, room).encode("utf-8", "replace")) <= max(room, 0)


def test_a_long_summary_is_cut_at_the_end_of_a_line() -> None:
    text = "".join(f"| {n} | ä |\n" for n in range(1000))
    cut = step_summary(text, 500)
    assert "The rest does not fit here: `summary.md`" in cut
    assert all(re.fullmatch(r"\| \d+ \| ä \|", line) for line in cut.partition("\n\n")[0].splitlines())


def test_ten_lines(run: Run) -> None:
    lines = gate_lines(run, "reports/tiny/now/report.html", passed=False)
    assert lines == [
        "gate failed: smollm2-135m-instruct: 9 checks: 1 failed, 1 error, 2 inconclusive, 1 waived, 2 passed, 1"
        " measured, 1 skipped.",
        "  FAILED occupations::sentiment_gap 0.183 [0.142, 0.225] compound, limit within ±0.1",
        "  ERROR quantized::kl: out of memory at batch size 1",
        "  INCONCLUSIVE occupations::occupation_gap – share, limit within ±0.1",
        "waivers: 1, the first until 2027-01-01 (40 days left)",
        "report: reports/tiny/now/report.html",
    ]


def test_never_more_than_ten(run: Run) -> None:
    failed = tuple(replace(run.records[1], id=f"id{n}", order=n) for n in range(25))
    passed = replace(run.records[0], waiver=Waiver("known", "2027-01-01"), order=30)
    run = replace(run, records=(*failed, passed), complete=False, smoke=False)
    lines = gate_lines(run, "report.html", passed=False, others=2)
    assert len(lines) == 10
    assert lines[0].endswith(" 2 other tests failed.")
    assert lines[6] == "  and 20 more"
    assert lines[7] == "waivers: 1, the first until 2027-01-01 (40 days left); 1 no longer needed"
    assert lines[8] == "note: the run is incomplete"


@pytest.mark.parametrize("passed", [True, False])
def test_the_exit_status_decides_the_first_word(run: Run, passed: bool) -> None:
    few = replace(run, records=run.records[:1], model=None)
    (line,) = gate_lines(few, None, passed=passed)
    assert line == f"gate {'passed' if passed else 'failed'}: no model: 1 check: 1 passed."


def test_nothing_that_the_model_wrote(run: Run) -> None:
    told = [*gate_lines(run, None, passed=False), *workflow_commands(run, {})]
    assert not any("evil" in line or "nurse" in line for line in told)
