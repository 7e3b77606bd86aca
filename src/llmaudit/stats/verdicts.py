"""The three-way rule, once: an estimate against a limit is a pass, a fail or inconclusive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llmaudit.stats.comparisons import min_attainable_p
from llmaudit.types import Estimate, Interval, Shift, Verdict

__all__ = [
    "MIN_CLUSTERS",
    "Judgement",
    "Limit",
    "ShiftJudgement",
    "design_problem",
    "judge",
    "judge_shift",
    "level_text",
]

#: Fewest clusters whose t interval may decide a check (docs/statistics.md, section 0.5).
MIN_CLUSTERS = 10

#: Numbers below this are written without an exponent: 1234 and not 1.23e+03.
_PLAIN_BELOW = 1e15


@dataclass(frozen=True, slots=True)
class Limit:
    """What a metric may be at most, at least, or both, in its own unit.

    Where the better value is zero it bounds the absolute size. Raises ValueError without any bound, for one that is
    not finite, and for a minimum above the maximum.
    """

    max: float | None = None
    min: float | None = None

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.min, self.max) if bound is not None]
        if not bounds:
            raise ValueError("a limit needs a max, a min or both")
        if not all(math.isfinite(bound) for bound in bounds):
            raise ValueError("the bounds of a limit are finite")
        if bounds != sorted(bounds):
            raise ValueError(f"the minimum {self.min} lies above the maximum {self.max}")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rule says about one check, and why, in words for the person who reads the report."""

    verdict: Verdict
    reason: str


def judge(estimate: Estimate, limit: Limit) -> Judgement:
    """Judge an estimate against a limit (docs/statistics.md section 0.5; TOST, Schuirmann 1987; Berger 1982).

    Pass: the interval lies wholly on the good side of the limit; fail: wholly on the bad side; else inconclusive. Of
    two bounds both must be passed, and failing one fails. A deterministic value and a zero-width interval pass AT the
    limit too: nothing is uncertain. Where the better value is zero the size of the difference is judged: it passes a
    max of m inside (-m, m) and fails wholly outside [-m, m]. What cannot be judged is inconclusive, with the reason.
    """
    interval = _interval(estimate)
    if isinstance(interval, str):
        return Judgement(Verdict.INCONCLUSIVE, interval)
    return _three_way(interval, limit, signed=estimate.better == "zero")


@dataclass(frozen=True, slots=True)
class ShiftJudgement:
    """What the rule of non-inferiority says about one difference, and why."""

    shift: Shift
    reason: str


def judge_shift(difference: Estimate, margin: float, *, farther: bool = False) -> ShiftJudgement:
    """Judge a paired difference, candidate minus baseline, by a margin > 0 in its unit (docs/statistics.md 0.5).

    With the interval oriented so that larger is worse: worse where it lies wholly above the margin, better where wholly
    below zero, equivalent where wholly below the margin, else inconclusive (non-inferiority: Piaggio et al. 2012, JAMA
    308: 2594-2604). Where the better value is zero it is equivalent inside (-margin, margin), and wholly outside worse
    if the candidate lies `farther` from zero than the baseline, else better. An exact difference is judged by its value
    and may lie AT the margin. What cannot be judged is inconclusive, with the reason. Raises ValueError for a margin
    that is not positive and finite.
    """
    if not 0 < margin < math.inf:
        raise ValueError(f"a margin is positive and finite, not {margin}")
    interval = _interval(difference)
    if isinstance(interval, str):
        return ShiftJudgement(Shift.INCONCLUSIVE, interval)
    signed = difference.better == "zero"
    higher = difference.better == "higher"
    low, high = (-interval.high, -interval.low) if higher else (interval.low, interval.high)
    shift = _signed_shift(low, high, margin, farther=farther) if signed else _shift(low, high, margin)
    return ShiftJudgement(shift, _shift_reason(interval, shift, -margin if higher else margin, signed=signed))


def design_problem(clusters: int, tests: int = 1, alpha: float = 0.05) -> str | None:
    """Say, before anything is computed, why this design can decide nothing; None where it can.

    Two reasons (docs/statistics.md section 0.2): fewer than MIN_CLUSTERS clusters, and a sign-flip p that cannot reach
    `alpha` after Holm over a declared family of `tests`, which takes log2(2 tests/alpha) clusters. Raises ValueError
    for less than one test or an alpha outside (0, 1).
    """
    if tests < 1 or not 0 < alpha < 1:
        raise ValueError(f"a family of {tests} tests at alpha = {alpha}")
    count = f"{clusters} cluster" if clusters == 1 else f"{clusters} clusters"
    if clusters < MIN_CLUSTERS:
        return f"design: {count}, a t interval needs {MIN_CLUSTERS}: add templates"
    if tests * min_attainable_p(clusters) > alpha:
        needed = math.ceil(math.log2(2 * tests / alpha))
        return f"design: {count}, p < {alpha:g} after Holm over {tests} tests needs {needed}: add templates"
    return None


def level_text(level: float) -> str:
    """Write the level of an interval, with as many digits as keep it below 100 %: 90%, 99.998%."""
    percent = (f"{100 * level:.{digits}g}" for digits in range(3, 17))
    return next((f"{text}%" for text in percent if float(text) < 100), "100%")


def _interval(estimate: Estimate) -> Interval | str:
    """Return the interval to judge, or why there is none."""
    if estimate.problem is not None:
        return estimate.problem
    if math.isnan(estimate.value):
        return "nothing could be measured"
    if estimate.deterministic:
        return Interval(estimate.value, estimate.value, 1.0, "exact")
    found = estimate.interval
    if found is None or math.isnan(found.low) or math.isnan(found.high):
        return design_problem(estimate.clusters) or "no interval could be computed"
    return design_problem(estimate.clusters) or found


def _shift(low: float, high: float, margin: float) -> Shift:
    if low > margin:
        return Shift.WORSE
    if high < 0:
        return Shift.BETTER
    # An exact difference at the margin is within it, as an exact value at a limit passes.
    return Shift.EQUIVALENT if high < margin or low == high else Shift.INCONCLUSIVE


def _signed_shift(low: float, high: float, margin: float, *, farther: bool) -> Shift:
    size = _against(max(0.0, low, -high), max(abs(low), abs(high)), margin)
    if size is Verdict.FAIL:
        return Shift.WORSE if farther else Shift.BETTER
    return Shift.EQUIVALENT if size is Verdict.PASS else Shift.INCONCLUSIVE


def _shift_reason(interval: Interval, shift: Shift, margin: float, *, signed: bool) -> str:
    marks = [margin, -margin, 0.0] if signed else [margin, 0.0]
    low, high = _number(interval.low, marks), _number(interval.high, marks)
    bound = f"the margin {'±' if signed else ''}{margin:.15g}"
    words = {
        Shift.WORSE: f"lies beyond {bound}",
        Shift.BETTER: f"lies beyond {bound}, toward zero" if signed else "lies on the better side of zero",
        Shift.EQUIVALENT: f"lies within {bound}",
        Shift.INCONCLUSIVE: f"reaches across {bound}",
    }[shift]
    if interval.low == interval.high:
        return f"difference {low} {words}"
    return f"{level_text(interval.level)} interval of the difference {low} to {high} {words}"


class _Side(NamedTuple):
    verdict: Verdict
    bound: float
    good: str
    bad: str


def _three_way(interval: Interval, limit: Limit, *, signed: bool) -> Judgement:
    low, high = interval.low, interval.high
    inside, outside = "below", "above"
    if signed:
        low, high = max(0.0, low, -high), max(abs(low), abs(high))
        inside, outside = "within", "outside"
    sides = []
    if limit.min is not None:
        sides.append(_Side(_against(-high, -low, -limit.min), limit.min, outside, inside))
    if limit.max is not None:
        sides.append(_Side(_against(low, high, limit.max), limit.max, inside, outside))
    verdicts = {side.verdict for side in sides}
    verdict = next(v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if v in verdicts)
    decisive = [side for side in sides if side.verdict is verdict]
    return Judgement(verdict, _reason(interval, verdict, decisive, signed=signed))


def _against(low: float, high: float, maximum: float) -> Verdict:
    if low > maximum:
        return Verdict.FAIL
    return Verdict.PASS if high < maximum or low == high else Verdict.INCONCLUSIVE


def _reason(interval: Interval, verdict: Verdict, sides: Sequence[_Side], *, signed: bool) -> str:
    marks = [mark for side in sides for mark in (side.bound, -side.bound if signed else side.bound)]
    low, high = _number(interval.low, marks), _number(interval.high, marks)
    limits = [f"{'±' if signed else ''}{side.bound:.15g}" for side in sides]
    words = [side.good if verdict is Verdict.PASS else side.bad for side in sides]
    if interval.low == interval.high:
        words = ["at" if interval.low in marks else word for word in words]
        return f"value {low} is " + " and ".join(map(" ".join, zip(words, limits, strict=True)))
    subject = f"{level_text(interval.level)} interval {low} to {high}"
    if verdict is Verdict.INCONCLUSIVE:
        return f"{subject} straddles {' and '.join(limits)}"
    return f"{subject} lies " + " and ".join(map(" ".join, zip(words, limits, strict=True)))


def _number(value: float, marks: Sequence[float]) -> str:
    """Write a number with 3 significant digits, or as many as show its integer part and its side of the limit."""
    least = max(3, len(f"{abs(value):.0f}")) if abs(value) < _PLAIN_BELOW else 3
    for digits in range(least, 18):
        text = f"{value + 0.0:.{digits}g}"
        if all((float(text) > mark, float(text) < mark) == (value > mark, value < mark) for mark in marks):
            break
    return text
