"""The plan of a run: per audit what it costs, per check what it can decide, and the totals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmaudit.engines.base import Engine
from llmaudit.looks import grows
from llmaudit.planning.checks import ALPHA, CheckPlan, Known, plan_check
from llmaudit.planning.foreseen import Foreseen, foresee
from llmaudit.planning.memory import Memory
from llmaudit.planning.rates import Rates, seconds_of
from llmaudit.planning.spread import Spread, changed, components_of, measured
from llmaudit.planning.workload import Workload, count_tokens, texts_of, workload
from llmaudit.records import AuditRecord, EstimateRecord
from llmaudit.run import Run
from llmaudit.stats import VarianceComponents
from llmaudit.suite import AuditEntry, CheckEntry, Suite
from llmaudit.types import Request

__all__ = ["AuditPlan", "Chosen", "Plan", "Planner", "Price", "Totals"]


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in the currency of whoever reads it."""

    input: float
    output: float
    currency: str = ""

    def of(self, work: Workload) -> float:
        """The money for an audit's tokens, at most: those that are read and scored, and those that are written."""
        return (work.prompt_tokens * self.input + work.new_tokens * self.output) / 1e6


@dataclass(frozen=True, slots=True)
class Chosen:
    """An audit of which some checks were selected."""

    suite: Suite
    entry: AuditEntry
    checks: tuple[CheckEntry, ...]

    @property
    def id(self) -> str:
        """`suite/audit`."""
        return f"{self.suite.name}/{self.entry.name}"


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """What one audit costs and can tell."""

    id: str
    kind: str
    work: Workload
    stored: int
    """How many of its requests the store answers already."""
    seconds: float | None
    """On this machine; None where nothing was measured."""
    money: float | None
    checks: tuple[CheckPlan, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """Over all audits."""

    work: Workload
    stored: int
    seconds: float | None
    money: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is about to be run."""

    model: str
    rates: str
    """Where the minutes are from."""
    audits: tuple[AuditPlan, ...]
    memory: Memory | None = None
    currency: str = ""
    notes: tuple[str, ...] = ()

    @property
    def totals(self) -> Totals:
        """Sums; a sum of which a part is unknown is unknown."""
        seconds = [audit.seconds for audit in self.audits]
        money = [audit.money for audit in self.audits]
        return Totals(
            sum((audit.work for audit in self.audits), Workload()),
            sum(audit.stored for audit in self.audits),
            _sum(seconds),
            _sum(money),
        )

    def ranked(self) -> Iterator[tuple[AuditPlan, CheckPlan]]:
        """Yield every check, those that cannot decide first, then those that perhaps cannot."""
        order = ["no", "doubtful", "unknown", "yes", "exact", "unlimited"]
        pairs = [(audit, check) for audit in self.audits for check in audit.checks]
        yield from sorted(pairs, key=lambda pair: (pair[1].role != "confirmatory", order.index(pair[1].decides)))

    def plain(self) -> dict[str, Any]:
        """The plan as builtins, for JSON."""
        totals = self.totals
        return {**dataclasses.asdict(self), "totals": dataclasses.asdict(totals)}


@dataclass(slots=True)
class Planner:
    """Makes the plan of some audits from what is known without running them."""

    tokenizer: Engine
    own: Sequence[Run] = ()
    """Earlier runs of the same model, newest first."""
    others: Sequence[Run] = ()
    """Earlier runs of other models, newest first: what the difference between two models was."""
    baseline: Run | None = None
    """What margins will be judged against: asked before all others of how far it is from this model."""
    rates: Rates = field(default_factory=Rates)
    price: Price | None = None
    stored: Callable[[Sequence[Request]], int] | None = None
    """Says how many of some requests are answered already; None where there is no way to know."""
    smoke: bool = False
    _components: dict[str, dict[str, dict[str, tuple[VarianceComponents, float]]]] = field(default_factory=dict)

    def foresee(self, chosen: Sequence[Chosen]) -> list[Foreseen]:
        """What every audit is going to ask."""
        return [foresee(each.entry.audit, self.tokenizer, smoke=self.smoke) for each in chosen]

    def plan(self, chosen: Sequence[Chosen], foreseen: Sequence[Foreseen]) -> tuple[AuditPlan, ...]:
        """Plan every audit; `foreseen` is what `foresee` gave."""
        texts = (text for each in foreseen for request in each.requests for text in texts_of(request))
        tokens = count_tokens(texts, self.tokenizer)
        return tuple(self._audit(one, asked, tokens) for one, asked in zip(chosen, foreseen, strict=True))

    def _audit(self, chosen: Chosen, asked: Foreseen, tokens: Mapping[str, int]) -> AuditPlan:
        work = workload(asked, self.tokenizer, tokens)
        stored = self.stored(asked.requests) if self.stored else 0
        checks = [plan for check in chosen.checks for plan in self._checks(chosen, check, asked)]
        return AuditPlan(
            id=chosen.id,
            kind=chosen.entry.audit.kind,
            work=work,
            stored=stored,
            seconds=seconds_of(work, self.rates, chosen.id, stored),
            money=self.price.of(work) if self.price else None,
            checks=tuple(checks),
        )

    def _checks(self, chosen: Chosen, check: CheckEntry, asked: Foreseen) -> Iterator[CheckPlan]:
        planned = _planned_clusters(asked.requests)
        found = self._earlier(chosen.id, check.metric)
        spread = change = estimate = None
        parts: tuple[str, ...] = ()
        if found is not None:
            run, audit, estimate = found
            spread = measured(estimate, self._parts(run, audit.id).get(check.metric), self._named(run))
            change, parts = self._change(run, audit, check.metric)
        before = next(_estimates(_only(self.baseline), chosen.id, check.metric), None)
        look = chosen.suite.look if grows(chosen.entry) else None
        samples = getattr(chosen.entry.audit.params, "samples", None)
        known = Known(
            clusters=_clusters(planned, found and found[1], estimate),
            estimate=estimate,
            spread=spread,
            change=change,
            parts=parts,
            before=before and before[2],
            samples=samples if isinstance(samples, int) else None,
            # A look before the last one has a level of its own.
            alpha=(1 - look.level) / 2 if look is not None else ALPHA,
            early=look is not None and not look.last,
        )
        yield from plan_check(chosen.entry.audit, check, known)

    def _earlier(self, audit_id: str, metric: str) -> tuple[Run, AuditRecord, EstimateRecord] | None:
        return next(_estimates(self.own, audit_id, metric), None) or next(
            _estimates(self._elsewhere, audit_id, metric), None
        )

    @property
    def _elsewhere(self) -> list[Run]:
        """The baseline, then the other models' runs."""
        return [*_only(self.baseline), *self.others]

    def _named(self, run: Run) -> str:
        """An earlier run in words; whose it was, where it was not this model's."""
        model = "" if any(run is own for own in self.own) or run.model is None else f"{run.model.name}'s "
        return f"{'the ' if not model else ''}{model}run of {run.started[:16].replace('T', ' ')}"

    def _parts(self, run: Run, audit_id: str) -> dict[str, tuple[VarianceComponents, float]]:
        if run.run_id not in self._components:
            self._components[run.run_id] = components_of(run)
        return self._components[run.run_id].get(audit_id, {})

    def _change(self, run: Run, audit: AuditRecord, metric: str) -> tuple[Spread | None, tuple[str, ...]]:
        """The spread of the difference to another model, measured or as if the two were unrelated, and its facets."""
        for other, theirs, _ in _estimates(self._elsewhere, audit.id, metric):
            sd, parts = changed(audit, theirs, metric) if other.run_id != run.run_id else (None, ())
            if sd is not None:
                name = other.model.name if other.model else "another model"
                return Spread(sd, f"measured against {name}", measured=True), parts
        parts = changed(audit, audit, metric)[1]
        alone = [measured(each, None, self._named(run)) for each in audit.estimates if each.metric in parts]
        widest = max((each for each in alone if each is not None), key=lambda each: each.sd, default=None)
        if widest is None:
            return None, parts
        source = f"√2 times that {widest.source}: as if the two models were unrelated"
        return Spread(2**0.5 * widest.sd, source, measured=False), parts


def _estimates(runs: Sequence[Run], audit_id: str, metric: str) -> Iterator[tuple[Run, AuditRecord, EstimateRecord]]:
    for run in runs:
        for audit in run.audits:
            if audit.id == audit_id and not run.smoke:
                yield from ((run, audit, each) for each in audit.estimates if each.metric == metric)


def _only(run: Run | None) -> list[Run]:
    return [] if run is None else [run]


def _planned_clusters(requests: Sequence[Request]) -> set[str]:
    """The clusters that will be asked about; where requests of several types have their own, the fewest."""
    by_type: dict[type[Request], set[str]] = {}
    for request in requests:
        by_type.setdefault(type(request), set()).add(request.cluster)
    return min(by_type.values(), key=len, default=set())


def _clusters(planned: set[str], audit: AuditRecord | None, estimate: EstimateRecord | None) -> int:
    """How many clusters a metric will have: all, or its share of them in an earlier run."""
    if audit is None or estimate is None:
        return len(planned)
    mine = {name for name, value in estimate.cluster_values.items() if value is not None}
    every = {name for each in audit.estimates for name in each.cluster_values}
    if not mine or not mine <= planned:
        # Clusters of a name of their own, or none: as many as before.
        return estimate.clusters
    return round(len(mine) * len(planned) / max(len(mine), len(every & planned)))


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
