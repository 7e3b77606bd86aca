"""The tables of a comparison, for the page and for Markdown alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from llmaudit.comparison.compare import Comparison
from llmaudit.comparison.differences import Difference
from llmaudit.comparison.metrics import ComparedMetric
from llmaudit.comparison.ties import told_sets
from llmaudit.exhibits import Table
from llmaudit.report.format import NOTHING, interval, moment, number, p_value
from llmaudit.report.words import DIRECTIONS

__all__ = ["audits", "differences", "differing", "estimates", "pairs", "runs", "tradeoff", "unlike"]

_UNKNOWN = "n/a"

Row = tuple[str | float | int | None, ...]


def tradeoff(comparison: Comparison) -> Table:
    """One row per run: what it costs and how it came out."""
    rows = tuple(_priced(comparison, run) for run in range(len(comparison.runs)))
    columns = (
        "Run", "Form", "Parameters", "Weights, GiB", "Tokens/s", "Passed", "Failed", "Inconclusive", "Better", "Worse"
    )  # fmt: skip
    note = (
        "Passed, failed and inconclusive count the confirmatory checks that every run judged. Better and worse count"
        " the comparisons with another run, metric by metric, in which this one is shown to be the better or the worse."
        " Tokens/s: tokens generated per second of waiting for the engine, over the audits that only generate and that"
        " every run asked in full; an answer that an earlier run had stored tells nothing, and n/a stands there."
    )
    return Table("What each costs and how it came out", columns, rows, note)


def pairs(comparison: Comparison) -> Table:
    """One row per pair: in how many metrics which is the better one."""
    rows = tuple(
        (
            _named(comparison.labels, each.pair), each.first_better, each.second_better, each.differ, each.tied,
            each.untested,
        )
        for each in comparison.pairs
    )  # fmt: skip
    columns = ("Pair", "First is better", "Second is better", "Differ", "Not told apart", "Not compared")
    note = (
        "Differ: told apart, but where zero is best neither is shown to be nearer to it. Not told apart is no proof of"
        " being alike: that takes a margin, as a check against a baseline has."
    )
    return Table("Pairs of runs, by number of metrics", columns, rows, note)


def differing(comparison: Comparison) -> Table | None:
    """The metrics in which some runs are told apart."""
    found = [metric for metric in comparison.metrics if any(each.apart for each in metric.differences)]
    if not found:
        return None
    return _estimates("Metrics in which runs are told apart", comparison.labels, found, whole_name=True)


def audits(comparison: Comparison) -> list[tuple[ComparedMetric, ...]]:
    """The metrics, audit by audit."""
    return [tuple(found) for _, found in groupby(comparison.metrics, key=lambda metric: metric.audit.id)]


def estimates(comparison: Comparison, metrics: Sequence[ComparedMetric]) -> Table:
    """One row per metric of an audit, one column per run."""
    return _estimates(f"Estimates of {metrics[0].audit.audit}", comparison.labels, metrics, whole_name=False)


def differences(comparison: Comparison, metrics: Sequence[ComparedMetric]) -> Table:
    """One row per metric of an audit and pair of runs."""
    rows = [
        (
            metric.metric, _named(comparison.labels, each.pair), interval(each.value, each.low, each.high),
            each.clusters or None, p_value(each.p_value), p_value(each.p_adjusted),
            _concluded(each, comparison.labels), each.method if each.method != "none" else NOTHING,
        )
        for metric in metrics
        for each in metric.differences
    ]  # fmt: skip
    columns = ("Metric", "Pair", "Second − first", "Clusters", "p", "Adjusted p", "Conclusion", "Interval")
    return Table(f"Paired differences of {metrics[0].audit.audit}", columns, tuple(rows))


def unlike(comparison: Comparison) -> Table | None:
    """What is not compared, and why; audits of a run that share a reason in one row."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in comparison.unlike:
        found.setdefault((comparison.labels[each.run], each.reason), []).append(each.audit or "the whole run")
    if not found:
        return None
    rows = tuple((label, ", ".join(names), reason) for (label, reason), names in found.items())
    note = "There: the first run that has the audit. Here: this run."
    return Table("Not compared, since not measured alike", ("Run", "What", "Why"), rows, note)


def runs(comparison: Comparison) -> Table:
    """Where the numbers come from."""
    columns = ("Run", "Model", "Revision", "SHA-256 of the weights", "Device", "Seed", "Started", "Run id", "Folder")
    rows = []
    for label, run in zip(comparison.labels, comparison.runs, strict=True):
        model = run.model
        facts = (model.resolved, model.revision, model.sha256, model.device) if model else (None,) * 4
        folder = str(run.folder) if run.folder else NOTHING
        known = (each or NOTHING for each in facts)
        rows.append((label, *known, str(run.seed), moment(run.started), run.run_id, folder))
    return Table("Runs", columns, tuple(rows))


def _priced(comparison: Comparison, run: int) -> Row:
    model, cost, passed = comparison.runs[run].model, comparison.costs[run], comparison.passed[run]
    form = ", ".join(part for part in (model.dtype, model.quantization) if part) if model else ""
    size = _UNKNOWN if cost.gib is None else f"{number(cost.gib)}{'' if cost.counted else ' (computed)'}"
    amounts = (_known(cost.parameters), size, _known(cost.tokens_per_second))
    verdicts = (passed.passed, passed.failed, passed.inconclusive)
    return (comparison.labels[run], form or _UNKNOWN, *amounts, *verdicts, *_won(comparison, run))


def _estimates(title: str, labels: Sequence[str], metrics: Iterable[ComparedMetric], *, whole_name: bool) -> Table:
    rows = tuple(_row(metric, labels, metric.id if whole_name else metric.metric) for metric in metrics)
    return Table(title, ("Metric", "Unit", *labels, "Told apart?"), rows)


def _row(metric: ComparedMetric, labels: Sequence[str], name: str) -> Row:
    values = (interval(each.value, each.low, each.high) if each else NOTHING for each in metric.estimates)
    return (name, f"{metric.any.unit} ({DIRECTIONS[metric.any.better]})", *values, _told(metric, labels))


def _told(metric: ComparedMetric, labels: Sequence[str]) -> str:
    problems = [each for each in metric.differences if each.problem]
    if len(problems) == len(metric.differences):
        return f"not compared: {problems[0].problem}"
    sets = [told_sets(metric.tied, labels)] if metric.tied or not problems else []
    left_out = [f"not compared: {_named(labels, each.pair)}" for each in problems]
    return "; ".join([*sets, *_better(metric, labels), *left_out])


def _better(metric: ComparedMetric, labels: Sequence[str]) -> Iterator[str]:
    """Say of every run that is shown to be better than others which these are."""
    for run, label in enumerate(labels):
        beaten = [labels[sum(each.pair) - run] for each in metric.differences if each.better == run]
        if beaten:
            yield f"{label} is better than {', '.join(beaten)}"


def _concluded(found: Difference, labels: Sequence[str]) -> str:
    if found.better is not None:
        return f"{labels[found.better]} is better"
    if found.apart:
        return "they differ"
    return found.problem or "not told apart"


def _won(comparison: Comparison, run: int) -> tuple[int, int]:
    found = [each.better for metric in comparison.metrics for each in metric.differences if run in each.pair]
    better = found.count(run)
    return better, sum(each is not None for each in found) - better


def _named(labels: Sequence[str], pair: tuple[int, int]) -> str:
    return f"{labels[pair[0]]} / {labels[pair[1]]}"


def _known(value: float | None) -> str:
    return _UNKNOWN if value is None else number(value)
