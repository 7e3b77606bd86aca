"""A metric in every run that measured it alike: values, differences of every pair, and which cannot be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from llmaudit.changes import Changes
from llmaudit.comparison.differences import Difference, adjusted, difference
from llmaudit.comparison.likeness import Alike
from llmaudit.comparison.ties import tied_sets
from llmaudit.gate import counts_tokens, same_tokenizer
from llmaudit.records import AuditRecord, EstimateRecord, Record
from llmaudit.run import Run

__all__ = ["ComparedMetric", "compared_metrics"]

_OTHER_TOKENS = "it is counted in tokens, and the tokenizers are not known to be the same"


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    """One metric that some check names, in all runs."""

    audit: AuditRecord
    """As the first run has it that measured it."""
    metric: str
    role: Literal["confirmatory", "exploratory"]
    """Confirmatory where any run has such a check of it."""
    estimates: tuple[EstimateRecord | None, ...]
    """One per run; None where the run did not measure it alike."""
    records: tuple[Record | None, ...]
    """The check in every run, where it has one."""
    differences: tuple[Difference, ...]
    """One per pair of runs that have it."""
    tied: tuple[tuple[int, ...], ...]
    """The largest sets of runs that were compared with one another and of which no two are told apart."""

    @property
    def id(self) -> str:
        """`suite/audit/metric`."""
        return f"{self.audit.id}/{self.metric}"

    @property
    def any(self) -> EstimateRecord:
        """One of the estimates, for what all have in common: unit, direction, description."""
        return next(estimate for estimate in self.estimates if estimate is not None)


def compared_metrics(runs: Sequence[Run], found: Alike) -> Iterator[ComparedMetric]:
    """Compare an audit that some runs measured alike in every metric that a check of any of them names."""
    audit = _Audit.of(runs, found)
    for metric in dict.fromkeys(name for checks in audit.checks.values() for name in checks):
        having = [run for run in found if metric in audit.estimates[run]]
        if len(having) > 1:
            yield audit.compared(metric, having)


@dataclass(frozen=True, slots=True)
class _Audit:
    """One audit, in the runs that measured it alike."""

    runs: Sequence[Run]
    first: AuditRecord
    estimates: Mapping[int, Mapping[str, EstimateRecord]]
    checks: Mapping[int, Mapping[str, Record]]
    changes: Mapping[tuple[int, int], Changes]

    @classmethod
    def of(cls, runs: Sequence[Run], found: Alike) -> _Audit:
        first = found[min(found)]
        estimates = {run: {each.metric: each for each in audit.estimates} for run, audit in found.items()}
        measured = {run: {name: each.estimate() for name, each in known.items()} for run, known in estimates.items()}
        place = (first.suite, first.audit)
        return cls(
            runs,
            first,
            estimates,
            {
                run: {each.metric: each for each in runs[run].records if (each.suite, each.audit) == place}
                for run in found
            },
            {(a, b): Changes(measured[a], measured[b], runs[a].seed) for a, b in combinations(sorted(found), 2)},
        )

    def compared(self, metric: str, having: Sequence[int]) -> ComparedMetric:
        """Compare the runs that have a metric."""
        every = range(len(self.runs))
        values = tuple(self.estimates.get(run, {}).get(metric) for run in every)
        records = tuple(self.checks.get(run, {}).get(metric) for run in every)
        differences = adjusted([self._difference(metric, pair) for pair in combinations(sorted(having), 2)], values)
        confirmatory = any(record is not None and record.role == "confirmatory" for record in records)
        return ComparedMetric(
            audit=self.first,
            metric=metric,
            role="confirmatory" if confirmatory else "exploratory",
            estimates=values,
            records=records,
            differences=differences,
            tied=tied_sets(
                sorted(having), {frozenset(each.pair) for each in differences if each.apart or each.problem}
            ),
        )

    def _difference(self, metric: str, pair: tuple[int, int]) -> Difference:
        one, other = (self.runs[run].model for run in pair)
        if counts_tokens(self.estimates[pair[0]][metric]) and not same_tokenizer(one, other):
            return Difference(pair, None, problem=_OTHER_TOKENS)
        return difference(metric, pair, self.changes[pair])
