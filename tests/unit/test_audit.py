"""What every kind shares: the parameters of a check, the cells of a design, the question."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from llmaudit.audit import (
    Audit,
    AuditParams,
    CheckParams,
    Expected,
    Measurement,
    Metric,
    Name,
    Setting,
    Skipped,
    two_per_cell,
)
from llmaudit.types import Generate, Request, Sample


def requests(cells: Sequence[str], samples: int) -> list[Generate]:
    return [
        Generate(f"{cell}?", "c", sample=sample, factors={"group": cell, "domain": "work"})
        for cell in cells
        for sample in range(samples)
    ]


def test_a_smoke_run_asks_two_of_every_cell_and_keeps_the_order() -> None:
    asked = requests(["women", "men"], 5)
    assert list(two_per_cell(asked)) == [asked[0], asked[1], asked[5], asked[6]]


def test_cells_are_told_apart_by_every_factor_in_any_order() -> None:
    asked = [
        Generate("x", "c", factors={"a": 1, "b": 2}),
        Generate("x", "c", factors={"b": 2, "a": 1}),
        Generate("x", "c", factors={"a": 1, "b": 2}),
        Generate("x", "c", factors={"a": 2, "b": 1}),
    ]
    assert list(two_per_cell(asked)) == [asked[0], asked[1], asked[3]]


def test_a_cell_of_one_keeps_its_one() -> None:
    asked = [*requests(["women"], 1), Generate("x", "c")]
    assert list(two_per_cell(asked)) == asked


@given(st.lists(st.sampled_from("abc")))
def test_two_per_cell_is_at_most_two_and_the_first_two(cells: list[str]) -> None:
    asked = [Generate(str(number), "c", factors={"g": cell}) for number, cell in enumerate(cells)]
    kept = list(two_per_cell(asked))
    for cell in set(cells):
        own = [request for request in asked if request.factors["g"] == cell]
        assert [request for request in kept if request.factors["g"] == cell] == own[:2]


@pytest.mark.parametrize(
    "check",
    [
        {"max": 0.1},
        {"min": 0.1},
        {"min": 0.1, "max": 0.1},
        {"max": 1, "margin": 0.03, "why": "a tenth of the scale", "on_inconclusive": "warn"},
        {"role": "exploratory"},
        {"max": 0.1, "skip": {"reason": "too slow"}},
        {"max": 0.1, "xfail": {"reason": "known", "expires": "2027-01-01"}},
        {"max": -3},
        {"margin": 0.1},
        {"margin": 2},
        {"margin": "10 %"},
        {"margin": "2.5%", "max": 1},
    ],
)
def test_a_check_that_can_be_used(check: dict[str, Any]) -> None:
    assert CheckParams.model_validate(check)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ({}, "a confirmatory check needs a limit: max, min or margin"),
        ({"max": 1, "margin": "ten"}, "a share of the baseline's value as '10 %', got 'ten'"),
        ({"max": 1, "margin": "0 %"}, "above 0 % and up to 100 %"),
        ({"max": 1, "margin": "101 %"}, "above 0 % and up to 100 %"),
        ({"max": 1, "margin": -0.1}, "greater than 0, got -0.1"),
        ({"max": 1, "margin": float("inf")}, "finite"),
        ({"max": 3, "min": 2, "margin": 1.5}, "larger than the whole range from min 2 to max 3"),
        ({"min": 2, "max": 1}, "min 2 is above max 1: nothing could pass"),
        ({"max": float("nan")}, "finite"),
        ({"max": float("inf")}, "finite"),
        ({"max": "0.1"}, "number"),
        ({"max": True}, "number"),
        ({"max": 1, "margin": 0}, "greater than 0"),
        ({"max": 1, "role": "explorative"}, "'confirmatory' or 'exploratory'"),
        ({"max": 1, "on_inconclusive": "pass"}, "'fail' or 'warn'"),
        ({"max": 1, "maximum": 2}, "Extra inputs"),
        ({"max": 1, "skip": {"reason": ""}}, "at least 1 character"),
        ({"max": 1, "skip": {}}, "Field required"),
        ({"max": 1, "xfail": {"reason": "known"}}, "Field required"),
        ({"max": 1, "xfail": {"reason": "known", "expires": 20270101}}, "expected a date as YYYY-MM-DD, got 20270101"),
        ({"max": 1, "xfail": {"reason": "known", "expires": "soon"}}, "expected a date"),
        ({"max": 1, "xfail": {"reason": "known", "expires": "2027-02-30"}}, "day"),
    ],
)
def test_a_check_that_cannot_be_used(check: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CheckParams.model_validate(check)


def test_a_waiver_ends_on_a_day() -> None:
    waiver = Expected.model_validate({"reason": "known", "expires": "2027-01-01"})
    assert waiver.expires == datetime.date(2027, 1, 1)


def test_specs_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Skipped(reason="slow"), "reason", "fast")  # noqa: B010 - mypy knows that it is frozen


@pytest.mark.parametrize("name", ["sentiment_gap.women-men", "premium.deu_Latn", "a", "0"])
def test_names_that_pytest_can_select(name: str) -> None:
    assert TypeAdapter(Name).validate_python(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a[b]", "a::b", "a/b", "ä", "a\n"])
def test_names_that_pytest_cannot_select(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(name)


class ShoutParams(AuditParams):
    """The parameters."""

    loudness: float = 1.0
    words: list[str] = Field(default=[])
    note: str | None = None


class Shout(Audit[ShoutParams]):
    """How loud is it?

    Not part of the question.
    """

    kind = "shout"
    Params = ShoutParams
    needs: ClassVar[frozenset[type[Request]]] = frozenset({Generate})

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {"loudness": Metric("how loud", "dB", "lower")}

    def requests(self) -> Iterator[Request]:
        yield Generate("Shout!", "c")

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        return Measurement({}, notes=(str(len(samples)),))


def shout(**changes: Any) -> Shout:
    params = ShoutParams.model_validate({"kind": "shout", "checks": {"loudness": {"max": 1}}, **changes})
    return Shout(params, scorers={})


def test_the_question_is_the_first_line_of_the_docstring_or_the_suites_own() -> None:
    assert shout().question == "How loud is it?"
    assert shout(question="Too loud?").question == "Too loud?"


def test_settings_are_the_plain_parameters_of_the_kind() -> None:
    assert shout(words=["a"], loudness=2.5).settings() == [Setting("loudness", "2.5")]
    assert shout(note="x").settings() == [Setting("loudness", "1.0"), Setting("note", "x")]


def test_an_audit_needs_a_check() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        shout(checks={})


def test_a_kind_decides_by_default_nothing_beforehand() -> None:
    assert shout().problems() == {}
    assert shout().seed == 0
