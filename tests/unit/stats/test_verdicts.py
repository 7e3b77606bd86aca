"""The three-way rule: every branch, its symmetry, and its words."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.stats.verdicts import MIN_CLUSTERS, Limit, design_problem, judge, judge_shift, level_text
from llmaudit.types import Better, Estimate, Interval, Shift, Verdict

ORDER = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}
GRID = st.integers(-40, 40).map(lambda value: value / 8)
BOUNDS = st.tuples(GRID, GRID).map(sorted)


def measured(low: float, high: float, better: Better = "lower", clusters: int = 12) -> Estimate:
    interval = Interval(low, high, 0.90, "t on cluster means")
    return Estimate("gap", (low + high) / 2, interval, "points", better, n=100, clusters=clusters)


def exact(value: float, better: Better = "lower") -> Estimate:
    return Estimate("tokens", value, None, "tokens", better, n=5, clusters=1, deterministic=True)


@pytest.mark.parametrize(
    ("low", "high", "limit", "verdict", "reason"),
    [
        (0.02, 0.11, Limit(max=0.15), "pass", "90% interval 0.02 to 0.11 lies below 0.15"),
        (0.02, 0.18, Limit(max=0.15), "inconclusive", "90% interval 0.02 to 0.18 straddles 0.15"),
        (0.02, 0.15, Limit(max=0.15), "inconclusive", "90% interval 0.02 to 0.15 straddles 0.15"),
        (0.16, 0.18, Limit(max=0.15), "fail", "90% interval 0.16 to 0.18 lies above 0.15"),
        (0.16, 0.18, Limit(min=0.15), "pass", "90% interval 0.16 to 0.18 lies above 0.15"),
        (0.1, 0.12, Limit(min=0.15), "fail", "90% interval 0.1 to 0.12 lies below 0.15"),
        (0.1, 0.2, Limit(min=0.15), "inconclusive", "90% interval 0.1 to 0.2 straddles 0.15"),
        (2, 3, Limit(min=1, max=4), "pass", "90% interval 2 to 3 lies above 1 and below 4"),
        (2, 5, Limit(min=1, max=4), "inconclusive", "90% interval 2 to 5 straddles 4"),
        (0, 5, Limit(min=1, max=4), "inconclusive", "90% interval 0 to 5 straddles 1 and 4"),
        (5, 6, Limit(min=1, max=4), "fail", "90% interval 5 to 6 lies above 4"),
        (0.15, 0.15, Limit(max=0.15), "pass", "value 0.15 is at 0.15"),
        (0.15, 0.15, Limit(min=0.15), "pass", "value 0.15 is at 0.15"),
        (0.12345, 1234.6, Limit(max=1500), "pass", "90% interval 0.123 to 1235 lies below 1500"),
    ],
)
def test_an_interval_against_a_limit(low: float, high: float, limit: Limit, verdict: str, reason: str) -> None:
    judgement = judge(measured(low, high), limit)
    assert (judgement.verdict, judgement.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("low", "high", "limit", "verdict", "reason"),
    [
        (-0.05, 0.09, Limit(max=0.1), "pass", "90% interval -0.05 to 0.09 lies within ±0.1"),
        (-0.1, 0.05, Limit(max=0.1), "inconclusive", "90% interval -0.1 to 0.05 straddles ±0.1"),
        (-0.3, 0.3, Limit(max=0.1), "inconclusive", "90% interval -0.3 to 0.3 straddles ±0.1"),
        (-0.3, -0.2, Limit(max=0.1), "fail", "90% interval -0.3 to -0.2 lies outside ±0.1"),
        (0.2, 0.3, Limit(max=0.1), "fail", "90% interval 0.2 to 0.3 lies outside ±0.1"),
        (0.2, 0.3, Limit(min=0.1), "pass", "90% interval 0.2 to 0.3 lies outside ±0.1"),
        (-0.05, 0.03, Limit(min=0.1), "fail", "90% interval -0.05 to 0.03 lies within ±0.1"),
        (-0.1, -0.1, Limit(max=0.1), "pass", "value -0.1 is at ±0.1"),
    ],
)
def test_a_signed_difference_against_a_limit(low: float, high: float, limit: Limit, verdict: str, reason: str) -> None:
    judgement = judge(measured(low, high, better="zero"), limit)
    assert (judgement.verdict, judgement.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("value", "limit", "verdict", "reason"),
    [
        (3, Limit(max=4), "pass", "value 3 is below 4"),
        (4, Limit(max=4), "pass", "value 4 is at 4"),
        (5, Limit(max=4), "fail", "value 5 is above 4"),
        (5, Limit(min=4), "pass", "value 5 is above 4"),
        (math.inf, Limit(max=4), "fail", "value inf is above 4"),
        (1234567.4, Limit(max=1234567), "fail", "value 1234567.4 is above 1234567"),
        (2e20, Limit(max=1e20), "fail", "value 2e+20 is above 1e+20"),
    ],
)
def test_a_deterministic_value_against_a_limit(value: float, limit: Limit, verdict: str, reason: str) -> None:
    judgement = judge(exact(value), limit)
    assert (judgement.verdict, judgement.reason) == (verdict, reason)


def test_rounding_never_hides_the_side_of_the_limit() -> None:
    assert judge(measured(0.02, 0.15004), Limit(max=0.15)).reason == "90% interval 0.02 to 0.15004 straddles 0.15"
    assert judge(measured(0.02, 0.14996), Limit(max=0.15)).reason == "90% interval 0.02 to 0.14996 lies below 0.15"


def test_a_deterministic_size_ignores_the_sign() -> None:
    assert judge(exact(-3, "zero"), Limit(max=4)).verdict is Verdict.PASS
    assert judge(exact(-5, "zero"), Limit(max=4)).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        (replace(measured(0, 1), problem="a third refused"), "a third refused"),
        (replace(exact(1), problem="no reference"), "no reference"),
        (replace(measured(0, 1), value=math.nan, interval=None), "nothing could be measured"),
        (exact(math.nan), "nothing could be measured"),
        (measured(0, 1, clusters=6), "design: 6 clusters, a t interval needs 10: add templates"),
        (replace(measured(0, 1, clusters=1), interval=None), "design: 1 cluster, a t interval needs 10: add templates"),
        (replace(measured(0, 1), interval=None), "no interval could be computed"),
        (measured(math.nan, 1), "nothing could be measured"),
        (replace(measured(0, math.nan), value=0.0), "no interval could be computed"),
    ],
)
def test_what_cannot_be_judged_is_inconclusive_with_its_reason(estimate: Estimate, reason: str) -> None:
    judgement = judge(estimate, Limit(max=100))
    assert (judgement.verdict, judgement.reason) == (Verdict.INCONCLUSIVE, reason)


@given(BOUNDS, GRID, GRID)
def test_a_laxer_limit_never_judges_harder(bounds: list[float], limit: float, other: float) -> None:
    tight, lax = sorted([limit, other])
    estimate = measured(bounds[0], bounds[1])
    assert ORDER[judge(estimate, Limit(max=tight)).verdict] <= ORDER[judge(estimate, Limit(max=lax)).verdict]
    assert ORDER[judge(estimate, Limit(min=lax)).verdict] <= ORDER[judge(estimate, Limit(min=tight)).verdict]


@given(BOUNDS, GRID)
def test_orienting_a_metric_the_other_way_changes_nothing(bounds: list[float], limit: float) -> None:
    low, high = bounds
    mirrored = judge(measured(-high, -low, "higher"), Limit(min=-limit))
    assert judge(measured(low, high), Limit(max=limit)).verdict is mirrored.verdict


@given(BOUNDS, GRID.map(abs))
def test_parity_is_blind_to_the_sign(bounds: list[float], limit: float) -> None:
    low, high = bounds
    verdicts = {judge(measured(a, b, "zero"), Limit(max=limit)).verdict for a, b in ((low, high), (-high, -low))}
    inside = (-limit < low and high < limit) or (low == high and abs(low) <= limit)
    outside = low > limit or high < -limit
    wanted = Verdict.PASS if inside else Verdict.FAIL if outside else Verdict.INCONCLUSIVE
    assert verdicts == {wanted}


@given(BOUNDS, BOUNDS)
def test_two_bounds_must_both_be_passed(bounds: list[float], limits: list[float]) -> None:
    estimate, (least, most) = measured(bounds[0], bounds[1]), limits
    alone = [judge(estimate, Limit(min=least)).verdict, judge(estimate, Limit(max=most)).verdict]
    assert judge(estimate, Limit(min=least, max=most)).verdict is min(alone, key=ORDER.__getitem__)


@pytest.mark.parametrize("bounds", [{}, {"max": math.nan}, {"min": -math.inf}, {"min": 2.0, "max": 1.0}])
def test_a_limit_needs_usable_bounds(bounds: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"limit|maximum"):
        Limit(**bounds)


def test_a_design_is_judged_before_it_is_run() -> None:
    assert design_problem(MIN_CLUSTERS) is None
    assert design_problem(MIN_CLUSTERS, tests=20) is None
    assert design_problem(9) == "design: 9 clusters, a t interval needs 10: add templates"
    assert design_problem(10, tests=40) == (
        "design: 10 clusters, p < 0.05 after Holm over 40 tests needs 11: add templates"
    )
    assert design_problem(11, tests=40) is None


@pytest.mark.parametrize("arguments", [{"tests": 0}, {"alpha": 0.0}, {"alpha": 1.0}])
def test_a_family_without_a_level_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a family of"):
        design_problem(10, **arguments)  # type: ignore[arg-type]  # one dict of ints and floats for all cases


def _difference(value: float, spread: float, better: Better) -> Estimate:
    interval = Interval(value - spread, value + spread, 0.90, "t")
    return Estimate("m", value, interval, "u", better, n=40, clusters=20)


_NUMBERS = st.floats(-100, 100, allow_nan=False)
_SIZES = st.floats(0.001, 100)


@given(_NUMBERS, _SIZES, _SIZES)
def test_a_metric_that_is_better_high_is_judged_as_its_mirror_image(value: float, spread: float, margin: float) -> None:
    one = judge_shift(_difference(value, spread, "lower"), margin).shift
    assert judge_shift(_difference(-value, spread, "higher"), margin).shift is one


@given(_NUMBERS, _SIZES, _SIZES)
def test_a_shift_is_what_its_interval_says(value: float, spread: float, margin: float) -> None:
    difference = _difference(value, spread, "lower")
    assert difference.interval is not None
    low, high = difference.interval.low, difference.interval.high
    expected = (
        Shift.WORSE
        if low > margin
        else Shift.BETTER
        if high < 0
        else Shift.EQUIVALENT
        if high < margin
        else Shift.INCONCLUSIVE
    )
    assert judge_shift(difference, margin).shift is expected


@given(_NUMBERS, _SIZES, _SIZES, st.booleans())
def test_a_signed_shift_is_judged_by_its_size(value: float, spread: float, margin: float, farther: bool) -> None:
    found = judge_shift(_difference(value, spread, "zero"), margin, farther=farther).shift
    assert found is judge_shift(_difference(-value, spread, "zero"), margin, farther=farther).shift
    if abs(value) + spread < margin:
        assert found is Shift.EQUIVALENT
    if abs(value) - spread > margin:
        assert found is (Shift.WORSE if farther else Shift.BETTER)


@pytest.mark.parametrize("margin", [0.0, -1.0, math.inf, math.nan])
def test_a_margin_is_positive_and_finite(margin: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        judge_shift(_difference(0, 1, "lower"), margin)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"problem": "too many refusals"}, "too many refusals"),
        ({"clusters": 9}, "design: 9 clusters"),
        ({"interval": None}, "no interval"),
        ({"value": math.nan}, "nothing could be measured"),
    ],
)
def test_a_shift_that_cannot_be_judged_is_inconclusive(changes: dict[str, Any], reason: str) -> None:
    found = judge_shift(replace(_difference(0, 0.1, "lower"), **changes), 1.0)
    assert (found.shift, reason in found.reason) == (Shift.INCONCLUSIVE, True)


@pytest.mark.parametrize(
    ("value", "better", "reason"),
    [
        (3.0, "lower", "90% interval of the difference 2.5 to 3.5 lies beyond the margin 1"),
        (-3.0, "higher", "90% interval of the difference -3.5 to -2.5 lies beyond the margin -1"),
        (0.0, "lower", "90% interval of the difference -0.5 to 0.5 lies within the margin 1"),
        (0.0, "zero", "90% interval of the difference -0.5 to 0.5 lies within the margin ±1"),
        (1.0, "lower", "90% interval of the difference 0.5 to 1.5 reaches across the margin 1"),
        (-3.0, "lower", "90% interval of the difference -3.5 to -2.5 lies on the better side of zero"),
    ],
)
def test_a_shift_says_why(value: float, better: Better, reason: str) -> None:
    assert judge_shift(_difference(value, 0.5, better), 1.0).reason == reason


def test_a_level_is_never_written_as_certainty() -> None:
    assert [level_text(level) for level in (0.9, 0.955, 0.9999, 0.9999765)] == ["90%", "95.5%", "99.99%", "99.998%"]
    assert level_text(1.0) == "100%"
