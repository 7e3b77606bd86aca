from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llmaudit.audit import Setting
from llmaudit.records import Attempt, FamilyRecord, Outcome
from llmaudit.report import summary_markdown
from llmaudit.report.html import render_html
from llmaudit.report.outline import sections
from llmaudit.report.together import (
    attempts_sentence,
    attempts_table,
    changing_checks,
    families_table,
    look_sentences,
    narrowed_sentence,
)
from llmaudit.run import Run


def family(**changes: Any) -> FamilyRecord:
    known = FamilyRecord("bias", "confirmatory", 4, 4, 3, 2, "Holm over 3", ("gender/gap",))
    return replace(known, **changes)


def attempts(*verdicts: Outcome | None) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(place, f"run{place}", f"2026-11-{place:02}T10:00:00+00:00", 7, place > 1, _verdicts(verdict))
        for place, verdict in enumerate(verdicts, 1)
    )


def _verdicts(verdict: Outcome | None) -> dict[str, Outcome]:
    same: dict[str, Outcome] = {"s/a/same": "pass"}
    return same if verdict is None else {**same, "s/a/gap": verdict}


def page(run: Run) -> str:
    parts = sections(run)
    drawings: dict[str, Sequence[Any]] = {part.anchor: () for part in parts}
    return render_html(run, parts, drawings)


def test_a_pass_and_a_discovery_are_two_columns(run: Run) -> None:
    run = replace(run, families=(family(), family(role="exploratory", adjustment="", discovered=())))
    table = families_table(run)
    assert table is not None
    assert table.rows == (
        ("bias", "confirmatory", 4, 3, 2, "Holm over 3", "gender/gap"),
        ("bias", "exploratory", 4, 3, 2, "none", "–"),
    )
    assert "must, which needs no correction" in table.note
    assert "All must pass, and what was discovered" in page(run)
    assert "## All must pass, and what was discovered" in summary_markdown(run)


def test_nothing_is_said_together_of_a_smoke_run_or_an_old_one(run: Run) -> None:
    assert families_table(run) is None
    assert families_table(replace(run, families=(family(),), smoke=True)) is None
    assert narrowed_sentence(replace(run, families=(family(seen=1),), smoke=True)) is None


def test_a_whole_family_is_not_narrowed(run: Run) -> None:
    assert narrowed_sentence(replace(run, families=(family(ran=0),))) is None, "skipped is not deselected"


def test_a_narrowed_run_says_so_everywhere(run: Run) -> None:
    run = replace(run, families=(family(seen=1), family(suite="one", declared=1, seen=0, role="exploratory")))
    words = (
        "Narrowed run: 1 of 4 confirmatory checks of bias; 0 of 1 exploratory check of one. A family is what its suite"
        " declares: p-values are not adjusted over a smaller one, and that all checks must pass is not shown by a part"
        " of them."
    )
    assert narrowed_sentence(run) == words
    assert words in page(run)
    assert f"> {words}" in summary_markdown(run)


def test_many_narrowed_families_are_counted(run: Run) -> None:
    narrowed = narrowed_sentence(replace(run, families=tuple(family(suite=f"s{n}", seen=1) for n in range(8))))
    assert narrowed is not None
    assert "of s4; and 3 more families. A family" in narrowed


def test_a_first_attempt_is_not_worth_a_word(run: Run) -> None:
    for few in ((), attempts("pass")):
        once = replace(run, attempts=few)
        assert attempts_sentence(once) is None
        assert attempts_table(once) is None
        assert "Attempt" not in page(once) + summary_markdown(once)


def test_attempts_that_agree(run: Run) -> None:
    run = replace(run, attempts=attempts("pass", None, "pass"))
    assert changing_checks(run) == {}
    assert attempts_sentence(run) == (
        "Attempt 3 at these suites with this model, the first of those known on 2026-11-01: every check has had one"
        " verdict."
    )
    table = attempts_table(run)
    assert table is not None
    assert table.columns == (
        "Check",
        "1: 2026-11-01 10:00:00 UTC, seed 7, incomplete",
        "2: 2026-11-02 10:00:00 UTC, seed 7",
        "3: 2026-11-03 10:00:00 UTC, seed 7",
    )
    assert table.rows == (("all checks", "2 pass", "1 pass", "2 pass"),)


def test_attempts_that_differ(run: Run) -> None:
    run = replace(run, attempts=attempts("fail", None, "pass"))
    assert changing_checks(run) == {"s/a/gap": ["fail", "–", "pass"]}
    assert "1 check had several verdicts." in str(attempts_sentence(run))
    table = attempts_table(run)
    assert table is not None
    assert table.rows[1] == ("s/a/gap", "fail", "–", "pass")
    for text in (page(run), summary_markdown(run)):
        assert "1 check had several verdicts." in text
        assert "Judge by all attempts." in text


def looking(run: Run, number: int) -> Run:
    look = Setting("look", f"look {number} of 3 (pocock, 95.5% intervals)")
    first, *others = run.audits
    return replace(run, audits=(replace(first, settings=(*first.settings, look)), *others))


def test_a_look_is_told_of_at_the_top_of_report_and_summary(run: Run) -> None:
    early = looking(run, 1)
    (sentence,) = look_sentences(early)
    assert sentence == (
        f"Look 1 of 3 (pocock, 95.5% intervals) at {run.audits[0].id}: the error of 5 % is shared by all looks."
        " What is inconclusive waits for the next one."
    )
    assert sentence in page(early)
    assert "> Look 1 of 3 (pocock, 95.5% intervals) at" in summary_markdown(early)
    (last,) = look_sentences(looking(run, 3))
    assert last.endswith("shared by all looks.")
    assert look_sentences(run) == look_sentences(replace(early, smoke=True)) == []
