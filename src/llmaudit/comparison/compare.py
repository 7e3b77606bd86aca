"""Runs side by side: all that the report of a comparison shows, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from llmaudit.comparison.labels import run_labels
from llmaudit.comparison.likeness import Unlike, split_by_likeness
from llmaudit.comparison.metrics import ComparedMetric, compared_metrics
from llmaudit.comparison.tradeoff import Cost, Passed, checks_passed, costs, scatters
from llmaudit.errors import RunError
from llmaudit.exhibits import Scatter
from llmaudit.gate import same_tokenizer
from llmaudit.run import Run
from llmaudit.suite.hints import unknown

__all__ = ["Comparison", "PairCount", "compare_runs"]


@dataclass(frozen=True, slots=True)
class PairCount:
    """How two runs came out over all metrics."""

    pair: tuple[int, int]
    first_better: int
    second_better: int
    differ: int
    """Told apart without either being shown to be the better one."""
    tied: int
    """Not told apart."""
    untested: int
    """There is no difference to speak of, and the metric says why."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs or more, compared."""

    runs: tuple[Run, ...]
    labels: tuple[str, ...]
    """What each is called, in their order; all different."""
    metrics: tuple[ComparedMetric, ...]
    pairs: tuple[PairCount, ...]
    unlike: tuple[Unlike, ...]
    costs: tuple[Cost, ...]
    passed: tuple[Passed, ...]
    """Over the confirmatory checks that all runs judged."""
    scatters: tuple[Scatter, ...]
    remarks: tuple[str, ...]
    """What a reader must know of the runs."""


def compare_runs(runs: Sequence[Run], drawn: Sequence[str] = ()) -> Comparison:
    """Compare runs in every metric that a check names and that they measured alike.

    `drawn` names the metrics to draw against cost, by the end of `suite/audit/metric`. A pure function of the runs.
    Raises RunError for fewer than two runs, a smoke run, a name that fits no metric, and where nothing was measured
    alike.
    """
    labels = run_labels(runs)
    if len(runs) < 2:
        raise RunError("a comparison needs two runs or more")
    if smoke := [label for label, run in zip(labels, runs, strict=True) if run.smoke]:
        raise RunError(f"{smoke[0]}: a smoke run measures nothing that could be compared; run it without --smoke")
    alike, unlike = split_by_likeness(runs)
    metrics = tuple(metric for found in alike for metric in compared_metrics(runs, found))
    if not metrics:
        raise RunError(f"nothing was measured alike in these runs: {_reasons(labels, unlike)}")
    spent = costs(runs, alike)
    passed = checks_passed(metrics, len(runs))
    return Comparison(
        runs=tuple(runs),
        labels=labels,
        metrics=metrics,
        pairs=tuple(_count(pair, metrics) for pair in combinations(range(len(runs)), 2)),
        unlike=unlike,
        costs=spent,
        passed=passed,
        scatters=scatters(labels, spent, passed, metrics, _chosen(drawn, metrics)),
        remarks=tuple(_remarks(runs, labels)),
    )


def _reasons(labels: Sequence[str], unlike: Sequence[Unlike]) -> str:
    reasons = Counter((labels[each.run], each.reason) for each in unlike)
    if not reasons:
        return "they share no audit with a check"
    return "; ".join(f"{label}: {reason}" for (label, reason), _ in reasons.most_common(3))


def _chosen(names: Sequence[str], metrics: Sequence[ComparedMetric]) -> list[ComparedMetric]:
    found = []
    for name in names:
        fitting = [metric for metric in metrics if f"/{metric.id}".endswith(f"/{name}")]
        if not fitting:
            known = {f"{metric.audit.audit}/{metric.metric}": metric for metric in metrics}
            raise RunError(unknown("metric", name, known))
        found += fitting
    return found


def _count(pair: tuple[int, int], metrics: Sequence[ComparedMetric]) -> PairCount:
    found = [each for metric in metrics for each in metric.differences if each.pair == pair]
    apart = [each.better for each in found if each.apart]
    tested = [each for each in found if not each.apart and each.problem is None]
    return PairCount(
        pair,
        apart.count(pair[0]),
        apart.count(pair[1]),
        apart.count(None),
        len(tested),
        len(found) - len(apart) - len(tested),
    )


def _remarks(runs: Sequence[Run], labels: Sequence[str]) -> Iterator[str]:
    for run, label in zip(runs, labels, strict=True):
        if not run.complete:
            yield f"{label} was interrupted: {len(run.records)} of {len(run.plan)} planned checks have a result."
    for title, values in (
        ("versions of llmaudit", [run.llmaudit_version for run in runs]),
        ("processors", [str(run.environment.get("processor")) for run in runs]),
        ("devices", [str(run.model.device if run.model else None) for run in runs]),
    ):
        if len(set(values)) > 1:
            named = ", ".join(f"{label}: {value}" for label, value in zip(labels, values, strict=True))
            yield f"The runs were made with different {title}: {named}."
    if not all(same_tokenizer(runs[0].model, run.model) for run in runs[1:]):
        yield (
            "The tokenizers are not known to be the same: metrics that count tokens are not compared, and tokens per"
            " second are each model's own."
        )
