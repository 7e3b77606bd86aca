"""One finished audit against the same audit of a baseline: verdicts of non-inferiority, check by check."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from scipy import stats

from llmaudit.audit import share_of
from llmaudit.changes import Changes, facets_of
from llmaudit.gaps import LEVEL
from llmaudit.gate.likeness import counts_tokens, differences, same_tokenizer, scorer_differences
from llmaudit.records import AuditRecord, BaselineRecord, BaselineRun, BaselineVerdict, EstimateRecord, Outcome
from llmaudit.run import Run
from llmaudit.stats import MIN_CLUSTERS, judge_shift, mde
from llmaudit.types import Estimate, ModelInfo, Shift

__all__ = ["AuditGate", "Gate"]

_ALPHA = (1 - LEVEL) / 2
_POWER = 0.80
_OTHER_TOKENS = "counted in tokens, and the baseline has another tokenizer"
_ORDER = (Shift.WORSE, Shift.INCONCLUSIVE, Shift.EQUIVALENT, Shift.BETTER)


@dataclass(frozen=True)
class Gate:
    """A baseline, and the terms on which a run is compared with it."""

    baseline: Run
    source: str
    """How the user named the baseline."""
    seed: int
    """Of the run that is judged."""
    allow_unlike: bool = False

    @cached_property
    def unlike(self) -> tuple[str, ...]:
        """What differs between the runs as a whole."""
        seed = self.baseline.seed
        return () if seed == self.seed else (f"seed {seed} there, {self.seed} here",)

    def audit(self, audit: AuditRecord) -> AuditRecord | None:
        """Return the baseline's audit of the same suite and name."""
        return next((each for each in self.baseline.audits if each.id == audit.id), None)

    def differences(self, audit: AuditRecord) -> tuple[str, ...]:
        """Say what differs between an audit, which need not have run, and the baseline's."""
        before = self.audit(audit)
        return ("the baseline has no such audit",) if before is None else differences(before, audit)

    def against(self, audit: AuditRecord, model: ModelInfo) -> AuditGate:
        """Return what judges the checks of an audit that has run on `model`."""
        return AuditGate(self, audit, model)

    def record(self) -> BaselineRun:
        """Return what the run keeps of its baseline."""
        run = self.baseline
        other = (f"The baseline was measured by llmaudit {run.llmaudit_version}.",)
        return BaselineRun(run.run_id, self.model_name, run.started, self.source, self.unlike, other)

    @property
    def model_name(self) -> str:
        """Name of the baseline's model."""
        return self.baseline.model.name if self.baseline.model else "no model"


@dataclass(frozen=True)
class AuditGate:
    """A finished audit beside the baseline's."""

    gate: Gate
    audit: AuditRecord
    model: ModelInfo

    @cached_property
    def unlike(self) -> tuple[str, ...]:
        """What differs between the two measurements."""
        return (*self.gate.unlike, *self.gate.differences(self.audit))

    def judge(self, metric: str, margin: float | str | None, absolute: Outcome) -> BaselineRecord:
        """Judge a check by its margin on the paired difference, candidate minus baseline, cluster by cluster.

        `margin` is in the metric's unit, or a share of the baseline's value such as `10 %`; None judges nothing.
        `absolute` is what the check's own limit says.
        """
        before = self._before.get(metric)
        lack = self._lack(metric)
        if before is None or lack is not None:
            # A margin that nothing was held against must not pass for one that was kept.
            left_open = margin is not None and not self.gate.allow_unlike
            return self._record(before, "inconclusive" if left_open else "not compared", lack or "", absolute)
        if self._other_tokens(metric):
            return self._record(before, "not compared", _OTHER_TOKENS, absolute)
        parts = self._changes.parts(metric)
        bound = _margin(margin, before.value)
        verdict, words = self._verdict(metric, bound, parts)
        change = self._changes.joined(metric, parts)
        return self._record(before, verdict, words, absolute, change, bound, _detectable(parts))

    @cached_property
    def _before(self) -> dict[str, EstimateRecord]:
        found = self.gate.audit(self.audit)
        return {} if found is None else {estimate.metric: estimate for estimate in found.estimates}

    @cached_property
    def _after(self) -> dict[str, EstimateRecord]:
        return {estimate.metric: estimate for estimate in self.audit.estimates}

    @cached_property
    def _changes(self) -> Changes:
        before, after = (
            {name: each.estimate() for name, each in estimates.items()} for estimates in (self._before, self._after)
        )
        return Changes(before, after, self.gate.seed)

    def _other_tokens(self, metric: str) -> bool:
        """Whether a metric is counted in the tokens of two tokenizers."""
        return counts_tokens(self._after[metric]) and not same_tokenizer(self.gate.baseline.model, self.model)

    def _lack(self, metric: str) -> str | None:
        """Say what the baseline lacks for a metric to be compared."""
        found = self.gate.audit(self.audit)
        if found is None:
            return "the baseline has no such audit"
        if self.unlike and not self.gate.allow_unlike:
            return f"not the same measurement: {'; '.join(self.unlike)}"
        if other := scorer_differences(found, self.audit):
            return f"not on the same scale: {'; '.join(other)}"
        if found.kind != self.audit.kind or metric not in self._before:
            return "the baseline has no such metric"
        if self._before[metric].unit != self._after[metric].unit:
            return f"the baseline has it in {self._before[metric].unit}"
        if facets_of(metric, list(self._before)) != facets_of(metric, list(self._after)):
            return "the baseline has other facets of it, and this is the worst of them"
        return None

    def _verdict(self, metric: str, margin: float | None, parts: Sequence[Estimate]) -> tuple[BaselineVerdict, str]:
        if margin is None:
            return "measured", "no margin declared"
        if not margin > 0:
            return "inconclusive", "the margin is a share of the baseline's value, and that is 0 or unknown"
        judged = [(part, judge_shift(part, margin, farther=self._farther(part.metric))) for part in parts]
        # Worse in one facet is worse; better or equivalent must hold in all (an intersection-union test).
        part, worst = min(judged, key=lambda pair: _ORDER.index(pair[1].shift))
        facet = part.metric.removeprefix(f"{metric}.")
        return worst.shift.value, worst.reason if len(parts) == 1 else f"{facet}: {worst.reason}"

    def _farther(self, metric: str) -> bool:
        return abs(self._changes.other[metric].value) > abs(self._changes.model[metric].value)

    def _record(
        self,
        before: EstimateRecord | None,
        verdict: BaselineVerdict,
        reason: str,
        absolute: Outcome,
        change: Estimate | None = None,
        margin: float | None = None,
        detectable: float | None = None,
    ) -> BaselineRecord:
        run = self.gate.baseline
        value = before.value if before else None
        if change is None:
            return BaselineRecord(run.run_id, self.gate.model_name, value, verdict, reason, absolute)
        found = EstimateRecord.of(change)
        return BaselineRecord(
            run_id=run.run_id,
            model=self.gate.model_name,
            value=value,
            verdict=verdict,
            reason=reason,
            absolute=absolute,
            difference=found.value,
            low=found.low,
            high=found.high,
            level=found.level,
            method=found.method,
            clusters=found.clusters,
            p_value=found.p_value,
            margin=margin,
            detectable=detectable,
            unlike=self.unlike,
        )


def _margin(margin: float | str | None, value: float | None) -> float | None:
    """A margin in the metric's unit; 0 where it is a share of nothing."""
    return share_of(margin) * abs(value or 0.0) if isinstance(margin, str) else margin


def _detectable(parts: Sequence[Estimate]) -> float | None:
    """The smallest margin that a change of nothing would keep in all parts; None where a part cannot tell."""
    found = [_smallest_margin(part, len(parts)) for part in parts]
    known = [each for each in found if each is not None]
    return max(known) if len(known) == len(found) else None


def _smallest_margin(change: Estimate, parts: int) -> float | None:
    """The smallest margin that no true change would keep with 80 % power, one of so many parts that all must keep it.

    The standard deviation of the paired differences is read off their interval, so that what widens it counts
    (docs/statistics.md, section 0.4). A difference that must lie between two bounds needs the power for each of them.
    """
    if change.deterministic:
        return 0.0
    interval, clusters = change.interval, change.clusters
    if interval is None or clusters < MIN_CLUSTERS:
        return None
    alpha = _ALPHA / parts
    half = (interval.high - interval.low) / 2
    deviation = half * math.sqrt(clusters) / float(stats.t.isf(alpha, clusters - 1))
    sides = 2 if change.better == "zero" else 1
    return mde(deviation, clusters, alpha, 1 - (1 - _POWER) / (parts * sides))
