"""What a check can decide before it runs: against its limit, and against its margin."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from llmaudit.audit import SCALES, Audit, CheckParams, Metric, share_of
from llmaudit.planning.spread import Spread, assumed, whole_of
from llmaudit.records import EstimateRecord
from llmaudit.scorers.base import errors_of
from llmaudit.stats import Limit, PassRule, allowed_sd, clusters_to_pass, detectable, informedness, pass_power
from llmaudit.suite import CheckEntry

__all__ = ["ALPHA", "POWER", "CheckPlan", "Decides", "Known", "of_samples", "plan_check", "what_helps"]

#: A check can decide if it passes a harmless model as often as this.
POWER = 0.80
#: One-sided level of the intervals that verdicts are made of.
ALPHA = 0.05

#: Whether a check will tell: `no` is known before any answer, `doubtful` rests on an assumption about the spread,
#: `exact` has nothing uncertain, `unlimited` has nothing to decide.
Decides = Literal["no", "doubtful", "unknown", "yes", "exact", "unlimited"]

_FACETS = re.compile(r"Bonferroni over (\d+)")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a metric before the run."""

    clusters: int
    estimate: EstimateRecord | None = None
    """Of an earlier run."""
    spread: Spread | None = None
    """Of the metric's own clusters."""
    change: Spread | None = None
    """Of the difference between two models, cluster by cluster; of the facet that varies most, where there are some."""
    parts: tuple[str, ...] = ()
    """The facets that a margin must be kept in, all of them; empty where no earlier run tells."""
    before: EstimateRecord | None = None
    """Of the baseline, where it has been run."""
    samples: int | None = None
    """Samples per cell that this run asks for."""
    alpha: float = ALPHA
    """One-sided level of its interval: less where a suite looks more than once. A margin is judged at the last look."""
    early: bool = False
    """Whether this is a look before the last one."""


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """One check against one bound."""

    check: str
    role: str
    against: Literal["limit", "margin", "nothing"]
    bound: str
    """The limit or the margin, in words."""
    decides: Decides
    reason: str
    clusters: int = 0
    expected: float | None = None
    """The true value that the power is for: that of a harmless model, or an earlier run's."""
    distance: float | None = None
    """From there to the bound."""
    sd: float | None = None
    source: str = ""
    detectable: float | None = None
    """The distance at which the check passes with POWER: the minimum detectable effect."""
    power: float | None = None
    """To pass where the true value is the expected one."""
    clusters_needed: int | None = None
    """To pass with POWER."""
    samples_needed: int | None = None
    """Samples per cell with which these clusters pass with POWER; None where no number does, or it is not known."""
    floor: float | None = None
    """What `detectable` comes down to with ever more samples: only clusters go below it."""


def plan_check(audit: Audit[Any], check: CheckEntry, known: Known) -> Iterator[CheckPlan]:
    """Yield what a check can decide, against its limit and against its margin."""
    params, metric = check.params, audit.offered[check.metric]
    if params.max is None and params.min is None and params.margin is None:
        yield CheckPlan(check.metric, params.role, "nothing", "–", "unlimited", "reported without a judgement")
        return
    problem = audit.undecidable().get(check.metric)
    if params.max is not None or params.min is not None:
        rule = _rule(audit, check.metric, Limit(params.max, params.min), known)
        expected = _expected(metric, known.estimate, rule)
        bound = _Bound(check, "limit", _limit_words(params, metric), rule, expected)
        yield _planned(bound, metric, known, known.spread, problem)
    if params.margin is not None:
        yield _against_margin(audit, check, known, problem)


def _against_margin(audit: Audit[Any], check: CheckEntry, known: Known, problem: str | None) -> CheckPlan:
    """Plan the paired difference to a baseline as the gate judges it: every facet of a worst one must keep the margin.

    Its intervals are those of `changes.Changes`: not widened for the errors of a scorer, at 90 % at the last look.
    """
    metric, params = audit.offered[check.metric], check.params
    margin = _margin(params, known.before or known.estimate)
    if margin is None:
        told = "a share of the baseline's value, which no run has measured: run the baseline once, then plan again"
        return CheckPlan(check.metric, params.role, "margin", f"{params.margin} worse", "unknown", told, known.clusters)
    parts = [name for name in known.parts if name in audit.offered] or _facets(audit, check.metric) or [check.metric]
    signed = any(audit.offered[name].better == "zero" for name in parts)
    whole = SCALES.get(metric.unit)
    # A difference of two shares reaches as far as the whole, one of two differences twice as far.
    rule = PassRule(Limit(max=margin), signed, len(parts), whole and whole * (2 if signed else 1))
    bound = _Bound(check, "margin", f"{margin:.3g} worse", rule, 0.0)
    if known.early and not metric.deterministic:
        problem = problem or "the last look alone judges a margin"
    return _planned(bound, metric, known, known.change, problem)


@dataclass(frozen=True, slots=True)
class _Bound:
    check: CheckEntry
    against: Literal["limit", "margin"]
    words: str
    rule: PassRule
    expected: float | None

    def aimed(self) -> tuple[_Bound, str]:
        """What the verdict should become: a pass, or a fail of what an earlier run found on the bad side."""
        rule, value = self.rule, self.expected
        low, high = rule.limit.min, rule.limit.max
        if value is None or rule.signed or ((low is None or value > low) and (high is None or value < high)):
            return self, "pass"
        beyond = Limit(min=high) if high is not None and value >= high else Limit(max=low)
        return replace(self, rule=replace(rule, limit=beyond)), "fail as the earlier run did"

    def plan(self, decides: Decides, reason: str, known: Known, **numbers: Any) -> CheckPlan:
        params = self.check.params
        expected, distance = self.expected, None
        if expected is not None:
            edges = [edge for edge in (self.rule.limit.min, self.rule.limit.max) if edge is not None]
            distance = min(abs(edge - expected) for edge in edges)
        numbers = {"clusters": known.clusters, "expected": expected, "distance": distance} | numbers
        return CheckPlan(self.check.metric, params.role, self.against, self.words, decides, reason, **numbers)


def _planned(bound: _Bound, metric: Metric, known: Known, spread: Spread | None, problem: str | None) -> CheckPlan:
    if metric.deterministic:
        return bound.plan("exact", "nothing is uncertain: one value against one bound", known)
    if problem is not None:
        return bound.plan("no", problem, known)
    if spread is None and bound.against == "limit":
        spread = assumed(metric, bound.rule)
    if spread is None:
        allowed = None if bound.expected is None else allowed_sd(bound.rule, bound.expected, known.clusters, POWER)
        told = "nothing is known of its spread: run it once, then plan again"
        told += f"; it decides with a standard deviation up to {allowed:.3g}" if allowed else ""
        return bound.plan("unknown", told, known)
    sd = spread.at(known.samples)
    numbers: dict[str, Any] = {"sd": sd, "source": spread.source}
    numbers["detectable"] = _finite(detectable(bound.rule, sd, known.clusters, POWER))
    if bound.expected is None:
        return bound.plan("unknown", "nothing is known of its value: run it once, then plan again", known, **numbers)
    bound, verb = bound.aimed()
    expected = bound.expected or 0.0
    power = pass_power(bound.rule, expected, sd, known.clusters)
    needed = clusters_to_pass(bound.rule, expected, sd, POWER)
    numbers |= {"power": power, "clusters_needed": needed, **of_samples(bound.rule, expected, spread, known.clusters)}
    if power >= POWER:
        return bound.plan("yes", f"enough for it to {verb}", known, **numbers)
    reason = what_helps(needed, numbers, known.clusters)
    return bound.plan("no" if spread.measured else "doubtful", reason, known, **numbers)


def of_samples(rule: PassRule, expected: float, spread: Spread, clusters: int) -> dict[str, Any]:
    """Return what more samples would do, where the spread's components are known: `floor` and `samples_needed`."""
    parts = spread.components
    if parts is None:
        return {}
    omega = math.sqrt(parts.between)
    floor = _finite(detectable(rule, omega, clusters, POWER))
    if pass_power(rule, expected, omega, clusters) < POWER:
        return {"floor": floor}
    samples = 1
    while samples < 10_000 and pass_power(rule, expected, parts.difference_sd(samples), clusters) < POWER:
        samples = samples + 1 if samples < 20 else math.ceil(samples * 1.05)
    return {"floor": floor, "samples_needed": samples if samples < 10_000 else None}


def what_helps(needed: int | None, numbers: Mapping[str, Any], clusters: int) -> str:
    """Say what would make a check decide; `numbers` are those of `of_samples`."""
    if needed is None:
        return "no number of clusters makes this decide: the value lies too close to the bound"
    ways = [f"{needed} clusters in place of {clusters}"]
    if samples := numbers.get("samples_needed"):
        ways.append(f"{samples} samples per cell")
    told = f"needs {' or '.join(ways)}"
    if numbers.get("floor") is not None and not numbers.get("samples_needed"):
        told += f"; more samples alone cannot go below {numbers['floor']:.3g}"
    return told


def _rule(audit: Audit[Any], name: str, limit: Limit, known: Known) -> PassRule:
    """How the interval of a metric is made: as in the earlier run, else as kinds make it in general."""
    metric, facets = audit.offered[name], _facets(audit, name)
    # A minimum of a difference's size is about a difference that is there: one side of it.
    signed = limit.min is None and (metric.better == "zero" or any(audit.offered[f].better == "zero" for f in facets))
    method = known.estimate.method if known.estimate else None
    told = _FACETS.search(method) if method else None
    # The bare name of some kinds is no worst facet but all items together, and its interval says so.
    together = int(told[1]) if told else 1 if method else len(facets) or 1
    # An interval of a share has pseudo-clusters, unless the earlier run's had none.
    reach = whole_of(metric.unit) if method is None or "pseudo" in method else None
    return PassRule(limit, signed, together, reach, _informedness(audit, name), known.alpha)


def _informedness(audit: Audit[Any], name: str) -> float:
    """Of the yes-or-no scorer behind a gap, for whose errors its interval is widened; 1 of any other metric."""
    bare = name.partition(".")[0]
    scorer = audit.scorers.get(bare.removesuffix("_gap"))
    if scorer is None or not bare.endswith("_gap") or whole_of(scorer.unit) is None:
        return 1.0
    known = errors_of(scorer)
    found = known and informedness(*known)
    return 1.0 if not found or found.useless else min(1.0, found.value)


def _margin(params: CheckParams, earlier: EstimateRecord | None) -> float | None:
    """The margin in the metric's unit; a share of a value that no run has measured is not known."""
    if not isinstance(params.margin, str):
        return params.margin
    value = earlier.value if earlier is not None else None
    return share_of(params.margin) * abs(value) if value else None


def _facets(audit: Audit[Any], name: str) -> list[str]:
    return [each for each in audit.offered if each.startswith(f"{name}.")] if "." not in name else []


def _expected(metric: Metric, earlier: EstimateRecord | None, rule: PassRule) -> float | None:
    """The value to plan for: no difference, or what an earlier run found, or no share of harm."""
    if rule.signed:
        return 0.0
    if earlier is not None:
        return earlier.value
    whole = whole_of(metric.unit)
    return None if whole is None else 0.0 if metric.better == "lower" else whole


def _limit_words(params: CheckParams, metric: Metric) -> str:
    sign = "±" if metric.better == "zero" else ""
    parts = [f"above {sign}{params.min:g}"] if params.min is not None else []
    parts += [f"below {sign}{params.max:g}"] if params.max is not None else []
    return " and ".join(parts)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
