from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.report.format import duration, interval, moment, number, p_value, percent, printable


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "–"),
        (0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (1234567, "1,234,567"),
        (0.1, "0.1"),
        (0.123456, "0.123"),
        (-0.05, "−0.05"),
        (12.345, "12.3"),
        (999.96, "1,000"),
        (1234.5, "1,234"),
        (0.00001234, "1.23e−5"),
        (-0.0001, "−1e−4"),
        (2.5e20, "2.5e20"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("triple", "text"),
    [
        ((0.12, 0.05, 0.19), "0.12 [0.05, 0.19]"),
        ((0.1834, 0.1422, 0.2246), "0.183 [0.142, 0.225]"),
        ((-0.0312, -0.0799, 0.0175), "−0.0312 [−0.0799, 0.0175]"),
        ((9.87, 9.4752, 10.2648), "9.87 [9.48, 10.26]"),
        ((3.0, 2.0, 5.0), "3 [2, 5]"),
        ((0.0, -1.5, 1.5), "0.0 [−1.5, 1.5]"),
        ((0.0, 0.0, 0.0), "0 [0, 0]"),
        ((4.1e-5, -9e-5, 2e-4), "4.1e−5 [−9e−5, 2e−4]"),
        ((1200.5, 1100.2, 1300.9), "1,200 [1,100, 1,301]"),
        ((0.5, None, None), "0.5"),
        ((None, None, None), "–"),
        ((None, 0.1, 0.2), "–"),
    ],
)
def test_interval(triple: tuple[float | None, float | None, float | None], text: str) -> None:
    assert interval(*triple) == text


@given(st.floats(), st.floats(), st.floats())
def test_every_float_can_be_written(value: float, low: float, high: float) -> None:
    assert number(value)
    assert interval(value, low, high)
    assert "nan" not in interval(value, low, high) + number(value)


def test_p_values_and_shares() -> None:
    assert [p_value(p) for p in (None, 0.0001, 0.0312, 1.0)] == ["–", "< 0.001", "0.031", "1.000"]
    assert [percent(share) for share in (None, 0.9, 0.9875)] == ["–", "90 %", "98.8 %"]


def test_times() -> None:
    assert [duration(s) for s in (0.0, 3.41, 59.0, 61.2, 7500.0)] == ["0 s", "3.41 s", "59 s", "1 min 1 s", "2 h 5 min"]
    assert moment("2026-11-22T10:15:00+00:00") == "2026-11-22 10:15:00 UTC"
    assert moment("2026-11-22T10:15:00Z") == "2026-11-22 10:15:00 UTC"
    assert moment("last week") == "last week"


@given(st.text(st.characters(exclude_categories=[])))
def test_printable_text_fits_every_file(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert shown.encode("utf-8")[:0] == b""
    assert not any(ord(c) < 32 and c not in "\n\t" for c in shown)
