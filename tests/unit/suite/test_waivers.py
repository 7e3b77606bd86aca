from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest

from llmaudit.errors import SuiteError
from llmaudit.suite import Suite, Waivers, read_suite_name, read_waivers

Load = Callable[..., Suite]

TODAY = datetime.date(2026, 11, 1)

_GOOD = """\
# What is known, and when somebody must look again.
a good one/gender/length_gap: {reason: the next model mends it, expires: 2026-11-02}
a good one/depth/depth:
  reason: known
  expires: 2027-01-01
another/any/thing: {reason: known, expires: 2027-01-01}
"""


def waivers(folder: Path, text: str) -> Waivers:
    path = folder / "waivers.yaml"
    path.write_text(text, encoding="utf-8")
    return read_waivers(path, TODAY)


def problems(folder: Path, text: str, suite: Suite | None = None) -> list[str]:
    def refused() -> None:
        found = waivers(folder, text)
        assert suite is not None
        found.apply(suite)

    with pytest.raises(SuiteError) as caught:
        refused()
    return [problem.removeprefix(f"{folder / 'waivers.yaml'}:") for problem in caught.value.problems]


def test_checks_are_waived_as_if_their_suite_said_so(tmp_path: Path, load: Load, good: str) -> None:
    plain = load(good)
    suite = waivers(tmp_path, _GOOD).apply(plain)
    reasons = {
        f"{audit.name}/{check.metric}": check.params.xfail.reason if check.params.xfail else None
        for audit in suite.audits
        for check in audit.checks
    }
    assert reasons == {
        "gender/length_gap": "the next model mends it",
        "gender/length_gap.women-men": None,
        "depth/depth": "known",
    }
    hashes = [[check.content_hash for audit in each.audits for check in audit.checks] for each in (plain, suite)]
    assert hashes[0] == hashes[1], "a waiver changes nothing about what is measured"
    assert not any(check.params.xfail for audit in plain.audits for check in audit.checks)


def test_a_suite_that_is_not_named_stays_itself(tmp_path: Path, load: Load, good: str) -> None:
    suite = load(good)
    assert waivers(tmp_path, "another/any/thing: {reason: known, expires: 2027-01-01}").apply(suite) is suite


@pytest.mark.parametrize("text", ["", "# nothing is accepted\n\n", "\ufeff# nothing\n", "{}"])
def test_a_file_may_accept_nothing(tmp_path: Path, text: str) -> None:
    assert waivers(tmp_path, text).entries == ()


def test_the_name_of_a_suite_may_hold_a_slash(tmp_path: Path, load: Load, good: str) -> None:
    suite = load(good.replace("a good one", "a/b"))
    (audit, _) = waivers(tmp_path, "a/b/gender/length_gap: {reason: known, expires: 2027-01-01}").apply(suite).audits
    assert audit.checks[0].params.xfail is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "s/a/b: {reason: r, expires: 2026-11-01}",
            "1:29: 's/a/b'.expires: the waiver expired on 2026-11-01; renew it with a reason, or remove it",
        ),
        ("s/a/b: {reason: r}", "1:8: 's/a/b': missing key 'expires'"),
        (
            "s/a/b: {reason: r, expire: 2027-01-01}",
            "1:20: 's/a/b': unknown key 'expire'; did you mean 'expires'? (known: reason, expires)",
        ),
        ("s/a/b: {reason: '', expires: 2027-01-01}", "1:17: 's/a/b'.reason: expected at least one character, got ''"),
        (
            "a/b: {reason: r, expires: 2027-01-01}",
            "1:1: 'a/b': expected the name of a check: SUITE/AUDIT/CHECK, as in 'demographic bias/"
            "gender/sentiment_gap'",
        ),
        ("s/a/b: {reason: r, expires: soon}", "1:29: 's/a/b'.expires: expected a date as YYYY-MM-DD, got 'soon'"),
        ("- a", "1:1: expected a mapping, got a list"),
        ("s/a/b: accepted", "1:8: 's/a/b': expected a mapping, got 'accepted'"),
    ],
)
def test_mistakes_have_a_place(tmp_path: Path, text: str, expected: str) -> None:
    assert problems(tmp_path, text) == [expected]


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = "s/a/b: {reason: r, expires: 2020-01-01}\ns/a/b: {reason: r, expires: 2027-01-01}\nb: {reason: r}\n"
    assert [problem.partition(" ")[0] for problem in problems(tmp_path, text)] == ["2:1:", "3:4:"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gendre/length_gap", "unknown audit 'gendre'; did you mean 'gender'? (known: gender, depth)"),
        (
            "gender/length-gaps",
            "unknown check 'length-gaps'; did you mean 'length_gap'? (known: length_gap, length_gap.women-men)",
        ),
    ],
)
def test_an_unknown_check_names_the_nearest(tmp_path: Path, load: Load, good: str, name: str, expected: str) -> None:
    text = f"a good one/{name}: {{reason: r, expires: 2027-01-01}}"
    assert problems(tmp_path, text, load(good)) == [f"1:1: 'a good one/{name}': {expected}"]


def test_a_check_is_waived_in_one_place(tmp_path: Path, load: Load, good: str) -> None:
    suite = load(good.replace("why: a convention", "xfail: {reason: known, expires: 2027-01-01}"))
    found = problems(tmp_path, "a good one/gender/length_gap: {reason: r, expires: 2027-01-01}", suite)
    assert len(found) == 1
    assert "the suite waives this check itself (xfail, " in found[0]
    assert found[0].endswith("s.audit.yaml:14); remove one of the two")


def test_a_suite_that_is_nowhere(tmp_path: Path) -> None:
    found = waivers(tmp_path, _GOOD)
    assert found.strangers(["a good one"]) == {"another"}
    found.refuse_strangers(["a good one", "another"])
    with pytest.raises(
        SuiteError, match=r"6:1: 'another/any/thing': unknown suite 'another'; did you mean 'an other'\?"
    ):
        found.refuse_strangers(["a good one", "an other"])


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"nowhere\.yaml:1:1: cannot be read: No such file or directory"):
        read_waivers(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "name"), [("suite: x y\n", "x y"), ("suite: 3\n", None), ("- a\n", None), ("a: [\n", None), ("", None)]
)
def test_the_name_of_a_suite(tmp_path: Path, text: str, name: str | None) -> None:
    path = tmp_path / "a.audit.yaml"
    path.write_text(text)
    assert read_suite_name(path) == name
    assert read_suite_name(tmp_path / "b.audit.yaml") is None
