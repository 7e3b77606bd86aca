"""Margins in a suite: of a check, of the whole suite, and those that nothing could exceed."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from llmaudit.audit import CheckParams, Metric
from llmaudit.errors import SuiteError
from llmaudit.plugins import installed_kinds
from llmaudit.suite import Suite, json_schema, load_suite
from llmaudit.suite.margins import unusable_margin

_SUITE = """\
suite: s
margins:
  single_token_rate: {margin: 0.05, why: one word in twenty}
  tokens_per_word: {margin: 10 %, why: a tenth}
audits:
  words:
    kind: tokenization
    words: [people, work]
    checks:
      single_token_rate: {min: 0.9}
      tokens_per_word: {margin: 0.2}
"""


def _load(tmp_path: Path, text: str = _SUITE) -> Suite:
    path = tmp_path / "s.audit.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_suite(path, kinds=installed_kinds(), scorers={})


def _problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        _load(tmp_path, text)
    return [line.partition("s.audit.yaml:")[2] for line in caught.value.problems]


def test_a_suites_margin_is_that_of_every_check_without_one(tmp_path: Path) -> None:
    (entry,) = _load(tmp_path).audits
    found = {check.metric: (check.params.margin, check.margin_why) for check in entry.checks}
    assert found == {"single_token_rate": (0.05, "one word in twenty"), "tokens_per_word": (0.2, "")}


def test_a_suites_margin_is_limit_enough_for_a_check(tmp_path: Path) -> None:
    (entry,) = _load(tmp_path, _SUITE.replace("{min: 0.9}", "{}").replace("{margin: 0.2}", "{}")).audits
    assert [check.params.margin for check in entry.checks] == [0.05, "10 %"]


def test_a_margin_changes_how_a_check_is_judged_and_not_what_is_measured(tmp_path: Path) -> None:
    before = _load(tmp_path).audits[0]
    after = _load(tmp_path, _SUITE.replace("margin: 0.05", "margin: 0.04")).audits[0]
    hashes = [[check.content_hash for check in entry.checks] for entry in (before, after)]
    assert (hashes[0][0] == hashes[1][0], hashes[0][1] == hashes[1][1]) == (False, True)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "tokens_per_word: {margin: 10 %",
            "token_per_word: {margin: 10 %",
            "4:3: margins.token_per_word: unknown metric 'token_per_word'; did you mean 'tokens_per_word'?",
        ),
        ("why: a tenth", "why: ''", "4:40: margins.tokens_per_word.why: expected at least one character, got ''"),
        ("{margin: 10 %, why: a tenth}", "{margin: 10 %}", "4:20: margins.tokens_per_word: missing key 'why'"),
        (
            "margin: 0.05",
            "margin: -0.05",
            "3:31: margins.single_token_rate.margin: expected a number greater than 0, got -0.05",
        ),
        (
            "margin: 0.05",
            "margin: 2",
            "3:31: margins.single_token_rate.margin: margin 2 is as large as the scale of proportion, 1: nothing could"
            " be worse (words::single_token_rate)",
        ),
        (
            "{min: 0.9}",
            "{min: 0.9, margin: 0.3}",
            "10:45: audits.words.checks.single_token_rate.margin: margin 0.3 is larger than the range that min 0.9"
            " leaves: the limit would fail before it",
        ),
        (
            "{margin: 0.2}",
            "{margin: 120 %}",
            "11:33: audits.words.checks.tokens_per_word.margin: expected a share above 0 % and up to 100 %, got '120 %",
        ),
        (
            "{margin: 0.2}",
            "{margin: [1]}",
            "11:33: audits.words.checks.tokens_per_word.margin: expected a number or a string, got a list",
        ),
    ],
)
def test_a_margin_that_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    (found,) = _problems(tmp_path, _SUITE.replace(old, new, 1))
    assert found.startswith(problem)


def test_the_schema_knows_margins() -> None:

    schema: dict[str, Any] = json_schema(installed_kinds())
    assert "margins" in schema["properties"]
    shapes = schema["$defs"]["MarginParams"]["properties"]["margin"]["anyOf"]
    assert {shape["type"] for shape in shapes} == {"number", "string"}


@pytest.mark.parametrize(("margin", "moot"), [(4.0, False), (5.0, True), ("100 %", False)])
def test_a_difference_that_keeps_its_limit_moves_by_twice_that_at_most(margin: float | str, moot: bool) -> None:
    # From 2 words more to 2 words fewer, though words have no end.
    found = unusable_margin(CheckParams(max=2.0, margin=margin), Metric("", "words", "zero"))
    assert (found is not None) is moot
    assert unusable_margin(CheckParams(max=2.0, margin=margin), Metric("", "words", "lower")) is None
