"""What the checks of a run say together: whether all passed, what was discovered, and how often it was tried."""

from __future__ import annotations

from collections import Counter

from llmaudit.audit import Table
from llmaudit.looks import looks_of
from llmaudit.records import Attempt, FamilyRecord
from llmaudit.report.format import NOTHING, moment
from llmaudit.run import Run

__all__ = [
    "attempts_sentence",
    "attempts_table",
    "changing_checks",
    "families_table",
    "look_sentences",
    "narrowed_sentence",
]

_FAMILIES = ("Suite", "Checks", "Declared", "Ran", "Passed", "p-values", "Discovered: adjusted p ≤ 0.05")
_FAMILIES_NOTE = (
    "Two questions, kept apart. Whether the suite passes: all confirmatory checks must, which needs no correction."
    " Whether something was discovered, that is, differs from zero: by p-values adjusted over the family that the suite"
    " declares. A discovery may be too small to fail a check, and a failed check need not be a discovery."
)
_ATTEMPTS_NOTE = (
    "Whoever tries until a check passes has shown nothing: a pass that is wrong in one run of twenty is wrong in one of"
    " four or five where the best of five runs counts. Judge by all attempts."
)
#: Suites that one sentence names.
_NAMED = 5


def families_table(run: Run) -> Table | None:
    """Return what became of each family that the suites declare; None for a run that judges nothing or knows none."""
    if run.smoke or not run.families:
        return None
    rows = tuple(
        (
            family.suite,
            family.role,
            family.declared,
            family.ran,
            family.passed,
            family.adjustment or "none",
            ", ".join(family.discovered) or NOTHING,
        )
        for family in run.families
    )
    return Table("All must pass, and what was discovered", _FAMILIES, rows, _FAMILIES_NOTE)


def narrowed_sentence(run: Run) -> str | None:
    """Say that a run left out a part of what its suites declare, if it did."""
    left_out = [family for family in run.families if family.narrowed]
    if not left_out or run.smoke:
        return None
    parts = [_part(family) for family in left_out[:_NAMED]]
    more = len(left_out) - len(parts)
    listed = "; ".join([*parts, *([f"and {more} more families"] if more else [])])
    return (
        f"Narrowed run: {listed}. A family is what its suite declares: p-values are not adjusted over a smaller one,"
        " and that all checks must pass is not shown by a part of them."
    )


def look_sentences(run: Run) -> list[str]:
    """Say which look a run was, of a suite that is looked at while its samples grow: a sentence for each such look."""
    looks: dict[str, list[str]] = {}
    for audit, look in ({} if run.smoke else looks_of(run)).items():
        looks.setdefault(look, []).append(audit)
    return [_looked(look, audits) for look, audits in looks.items()]


def changing_checks(run: Run) -> dict[str, list[str]]:
    """Return the verdicts of all attempts, the oldest first, of every check that had more than one verdict.

    An attempt that left the check out has NOTHING.
    """
    checks = dict.fromkeys(check for attempt in run.attempts for check in attempt.verdicts)
    found = {check: [attempt.verdicts.get(check, NOTHING) for attempt in run.attempts] for check in checks}
    return {check: words for check, words in found.items() if len({*words} - {NOTHING}) > 1}


def attempts_sentence(run: Run) -> str | None:
    """Say that these checks were tried before on this model, if they were."""
    if len(run.attempts) < 2:
        return None
    *earlier, own = run.attempts
    changed = len(changing_checks(run))
    verdicts = "every check has had one verdict" if not changed else f"{_count(changed, 'check')} had several verdicts"
    return (
        f"Attempt {own.number} at these suites with this model, the first of those known on"
        f" {earlier[0].started[:10]}: {verdicts}."
    )


def attempts_table(run: Run) -> Table | None:
    """Return what each attempt concluded, and every check that had several verdicts; None for the first attempt."""
    if len(run.attempts) < 2:
        return None
    tallies = (_tally(attempt) for attempt in run.attempts)
    rows = (("all checks", *tallies), *((check, *words) for check, words in changing_checks(run).items()))
    return Table("Attempts", ("Check", *map(_title, run.attempts)), rows, _ATTEMPTS_NOTE)


def _looked(look: str, audits: list[str]) -> str:
    more = f" and {len(audits) - _NAMED} more" if len(audits) > _NAMED else ""
    words = (
        f"{look[0].upper()}{look[1:]} at {', '.join(audits[:_NAMED])}{more}: the error of 5 % is shared by all looks."
    )
    number, of = look.split()[1:4:2]
    return words if number == of else f"{words} What is inconclusive waits for the next one."


def _part(family: FamilyRecord) -> str:
    return f"{family.seen} of {_count(family.declared, f'{family.role} check')} of {family.suite}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _title(attempt: Attempt) -> str:
    unfinished = "" if attempt.complete else ", incomplete"
    return f"{attempt.number}: {moment(attempt.started)}, seed {attempt.seed}{unfinished}"


def _tally(attempt: Attempt) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(attempt.verdicts.values()).most_common())
