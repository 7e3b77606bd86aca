"""The records of a run: checks, estimates and audits as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from llmaudit.audit import Figure, Setting, Table
from llmaudit.types import Better, Estimate, Interval

__all__ = [
    "AuditRecord",
    "BaselineRecord",
    "BaselineRun",
    "BaselineVerdict",
    "ChangedItem",
    "ChangedItems",
    "EstimateRecord",
    "Evidence",
    "LimitRecord",
    "NoiseFloor",
    "Outcome",
    "Record",
    "ScorerRecord",
    "SuiteRecord",
    "Timing",
    "Waiver",
    "to_plain",
]

#: What became of a check. `measured` has no limit to be judged by, or belongs to a smoke run, which judges nothing.
Outcome = Literal["pass", "fail", "inconclusive", "measured", "skipped", "error"]

#: What a baseline makes of a check: `measured` has no margin to be judged by, `not compared` cannot be.
BaselineVerdict = Literal["worse", "equivalent", "better", "inconclusive", "measured", "not compared"]


@dataclass(frozen=True, slots=True)
class EstimateRecord:
    """An Estimate as it is stored: flat, NaN as None."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    level: float | None
    method: str
    unit: str
    better: Better
    n: int
    clusters: int
    missing: int
    deterministic: bool
    p_value: float | None
    effect_size: float | None
    problem: str | None
    cluster_values: Mapping[str, float | None]
    details: Mapping[str, float | None]
    description: str = ""

    @classmethod
    def of(cls, estimate: Estimate, description: str = "") -> EstimateRecord:
        """Flatten an estimate."""
        interval = estimate.interval
        exact = "exact for these stimuli" if estimate.deterministic else "none"
        return cls(
            metric=estimate.metric,
            value=_finite(estimate.value),
            low=_finite(interval.low) if interval else None,
            high=_finite(interval.high) if interval else None,
            level=interval.level if interval else None,
            method=interval.method if interval else exact,
            unit=estimate.unit,
            better=estimate.better,
            n=estimate.n,
            clusters=estimate.clusters,
            missing=estimate.missing,
            deterministic=estimate.deterministic,
            p_value=_finite(estimate.p_value),
            effect_size=_finite(estimate.effect_size),
            problem=estimate.problem,
            cluster_values={key: _finite(value) for key, value in estimate.cluster_values.items()},
            details={key: _finite(value) for key, value in estimate.details.items()},
            description=description,
        )

    def estimate(self) -> Estimate:
        """Return the estimate that was stored, with NaN for None."""
        bounded = self.low is not None and self.high is not None and self.level is not None
        interval = Interval(self.low, self.high, self.level, self.method) if bounded else None  # type: ignore[arg-type]
        return Estimate(
            metric=self.metric,
            value=_number(self.value),
            interval=interval,
            unit=self.unit,
            better=self.better,
            n=self.n,
            clusters=self.clusters,
            missing=self.missing,
            deterministic=self.deterministic,
            p_value=self.p_value,
            effect_size=self.effect_size,
            problem=self.problem,
            cluster_values={key: _number(value) for key, value in self.cluster_values.items()},
            details={key: _number(value) for key, value in self.details.items()},
        )


@dataclass(frozen=True, slots=True)
class LimitRecord:
    """The limit that a check declares, with its reason."""

    max: float | None = None
    min: float | None = None
    margin: float | str | None = None
    """How much worse than a baseline: in the metric's unit, or a share of the baseline's value such as `10 %`."""
    why: str = ""
    margin_why: str = ""
    """The reason for the margin, where it is the suite's and not the check's own."""


@dataclass(frozen=True, slots=True)
class BaselineRecord:
    """One check against a baseline: the paired difference, candidate minus baseline, and what is made of it."""

    run_id: str
    model: str
    value: float | None
    """The baseline's."""
    verdict: BaselineVerdict
    reason: str
    absolute: Outcome
    """What the check's own limit alone says."""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    method: str = "none"
    clusters: int = 0
    """Clusters that both runs have."""
    p_value: float | None = None
    """Sign-flip p of "the difference is not zero"."""
    margin: float | None = None
    """In the metric's unit; None where the check has none, and then nothing is judged."""
    detectable: float | None = None
    """Smallest margin that a candidate which changes nothing would be shown to keep, with 80 % power."""
    unlike: tuple[str, ...] = ()
    """What differs between the two measurements, where they were compared all the same (--allow-unlike)."""


@dataclass(frozen=True, slots=True)
class BaselineRun:
    """The run that another one is judged against."""

    run_id: str
    model: str
    started: str
    source: str
    """How the user named it."""
    unlike: tuple[str, ...] = ()
    """What differs between the two runs, where they were compared all the same (--allow-unlike)."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangedItem:
    """One request that the two models answered differently."""

    cluster: str
    asked: str
    before: str
    after: str
    score_before: float | None
    score_after: float | None
    factors: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangedItems:
    """What changed item by item under one score of an audit; the largest changes are kept."""

    score: str
    """Name of the score, or of the number that the model itself gives, such as `logprob`."""
    matched: int
    """Requests that both runs made."""
    answers_changed: int
    risen: int
    fallen: int
    unmatched: int
    """Requests of either run that the other one lacks."""
    items: tuple[ChangedItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiver:
    """The accepted finding that a check carries."""

    reason: str
    expires: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One sample that shows what a check found."""

    prompt: str
    answer: str
    factors: Mapping[str, str | int | float]
    scores: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Record:
    """One finished check."""

    id: str
    """Hash of suite, audit, check and their content: the key by which two runs are compared."""
    suite: str
    audit: str
    kind: str
    check: str
    metric: str
    role: Literal["confirmatory", "exploratory"]
    verdict: Outcome
    reason: str
    limit: LimitRecord
    estimate: EstimateRecord | None = None
    p_adjusted: float | None = None
    adjustment: str = ""
    """How p was adjusted and over how many checks, or why it was not."""
    family: int = 1
    """How many checks the suite declares in this check's family."""
    gates: bool = True
    """Whether this verdict failed the run, or would have."""
    waiver: Waiver | None = None
    evidence: tuple[Evidence, ...] = ()
    baseline: BaselineRecord | None = None
    """Only where the run has a baseline."""
    order: int = 0
    """Position in the plan."""


@dataclass(frozen=True, slots=True)
class ScorerRecord:
    """A scorer that an audit used."""

    name: str
    version: str
    description: str
    unit: str
    validation: str = ""
    """How well it does on which labelled texts, in one sentence, or that nobody looked."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What an audit cost."""

    seconds: float = 0.0
    requests: int = 0
    generated_tokens: int = 0
    scored_tokens: int = 0
    kept: int = 0
    """How many of the requests an earlier run had answered."""
    engine_seconds: float = 0.0
    """How long the audit waited for answers: the rest of its time went to the store, scoring and statistics."""


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What an estimate becomes when the same model is asked again (--aa)."""

    metric: str
    value: float | None
    """Of the run itself."""
    other_batches: float | None
    """Asked in other batches, with the same draws: what the arithmetic moves."""
    other_draws: float | None
    """Asked with other draws: what sampling moves."""

    @classmethod
    def of(cls, metric: str, value: float, other_batches: float, other_draws: float) -> NoiseFloor:
        """Make it of measured values, which may be NaN."""
        return cls(metric, _finite(value), _finite(other_batches), _finite(other_draws))


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One audit as the report shows it."""

    id: str
    """`suite/audit`."""
    suite: str
    audit: str
    kind: str
    question: str
    settings: tuple[Setting, ...] = ()
    limitations: tuple[str, ...] = ()
    scorers: tuple[ScorerRecord, ...] = ()
    estimates: tuple[EstimateRecord, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    """Every distinct prompt or text, as it was asked."""
    noise: tuple[NoiseFloor, ...] = ()
    """Empty unless the run was asked for it."""
    design: Mapping[str, str] = field(default_factory=dict)
    """Parameter -> its value as JSON, or a hash of one that is long: two audits that agree in all asked the same."""
    changed: tuple[ChangedItems, ...] = ()
    """What changed against the baseline, by score; empty without one."""
    timing: Timing = Timing()
    order: int = 0


@dataclass(frozen=True, slots=True)
class SuiteRecord:
    """A suite file that took part."""

    name: str
    description: str
    path: str
    sha256: str
    checks: int = 0
    """How many checks the suite declares; a run of fewer is narrowed."""


def to_plain(value: Any) -> Any:
    """Turn nested dataclasses into exact builtins, with None for every number that is not finite.

    What travels between processes or into JSON must be of the builtin types themselves: a subclass of float, such as
    numpy.float64, breaks the transport of pytest-xdist.
    """
    if hasattr(value, "__dataclass_fields__"):
        return to_plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _finite(value)
    # Half a surrogate pair, which an endpoint may send, has no UTF-8 form.
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
