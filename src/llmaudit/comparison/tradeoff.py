"""What each model costs, and which of them no other beats: the trade-off that a model is picked by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmaudit.comparison.likeness import Alike
from llmaudit.comparison.metrics import ComparedMetric
from llmaudit.exhibits import Scatter
from llmaudit.records import AuditRecord
from llmaudit.run import Run
from llmaudit.stats import pareto_front

__all__ = ["Cost", "Passed", "checks_passed", "costs", "scatters"]

#: Bytes of a number.
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_GIB = 2**30
#: Metrics that are drawn against cost where none is named.
_DRAWN = 4
#: Ratio of the largest to the smallest cost from which on the axis is logarithmic.
_FAR = 5
_SIZE, _SPEED = "weights, GiB", "tokens generated per second"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model takes; None where it cannot be known."""

    parameters: int | None
    gib: float | None
    """Of its weights as they are stored, in GiB."""
    counted: bool
    """Whether that is counted over the tensors, or parameters times the bytes of the data type."""
    tokens_per_second: float | None
    """Tokens generated per second of waiting for the engine, over audits that generate only and that all runs asked."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The verdicts of a run over the confirmatory checks that all runs have judged."""

    passed: int
    failed: int
    inconclusive: int


def costs(runs: Sequence[Run], audits: Sequence[Alike]) -> tuple[Cost, ...]:
    """Say what each model takes. `audits` holds what was measured alike, run -> audit, per audit."""
    timed = [found for found in audits if len(found) == len(runs) and all(map(_generates, found.values()))]
    return tuple(_cost(run, [found[place] for found in timed]) for place, run in enumerate(runs))


def checks_passed(metrics: Sequence[ComparedMetric], runs: int) -> tuple[Passed, ...]:
    """Count the verdicts of every run over the same checks."""
    judged = [
        # A baseline is another question than a limit.
        [record.baseline.absolute if record.baseline else record.verdict for record in metric.records if record]
        for metric in metrics
        if metric.role == "confirmatory"
    ]
    whole = [found for found in judged if len(found) == runs and set(found) <= {"pass", "fail", "inconclusive"}]
    verdicts = [[found[run] for found in whole] for run in range(runs)]
    return tuple(Passed(each.count("pass"), each.count("fail"), each.count("inconclusive")) for each in verdicts)


def scatters(
    labels: Sequence[str],
    found: Sequence[Cost],
    passed: Sequence[Passed],
    metrics: Sequence[ComparedMetric],
    chosen: Sequence[ComparedMetric] = (),
) -> tuple[Scatter, ...]:
    """Draw quality against size and speed: the checks passed, and the chosen metrics.

    Where none is chosen, these are the first confirmatory metric of each audit in which some runs are told apart.
    """
    drawings = [_of_checks(passed), *map(_of_metric, chosen or _telling(metrics)[:_DRAWN])]
    sides = [
        (_SIZE, [cost.gib for cost in found], "size"),
        (_SPEED, [cost.tokens_per_second for cost in found], "speed"),
    ]
    return tuple(
        _scatter(labels, drawing, side)
        for drawing in drawings
        for side in sides
        if sum(cost is not None for cost in side[1]) > 1 and sum(point[0] is not None for point in drawing.points) > 1
    )


@dataclass(frozen=True, slots=True)
class _Quality:
    title: str
    axis: str
    points: Sequence[tuple[float | None, float | None, float | None]]
    """Value, low, high of every run."""
    goodness: Sequence[float]
    """The same, such that higher is better."""


def _telling(metrics: Sequence[ComparedMetric]) -> list[ComparedMetric]:
    """The first confirmatory metric of each audit in which some runs are told apart."""
    found: dict[str, ComparedMetric] = {}
    for metric in metrics:
        if metric.role == "confirmatory" and any(each.apart for each in metric.differences):
            found.setdefault(metric.audit.id, metric)
    return list(found.values())


def _of_checks(passed: Sequence[Passed]) -> _Quality:
    total = max((each.passed + each.failed + each.inconclusive for each in passed), default=0)
    shares = [float(each.passed) if total else None for each in passed]
    axis = f"checks passed of {total} (higher is better)"
    return _Quality("Checks passed", axis, [(each, None, None) for each in shares], [each or 0.0 for each in shares])


def _of_metric(metric: ComparedMetric) -> _Quality:
    found = [(each.value, each.low, each.high) if each else (None, None, None) for each in metric.estimates]
    better = metric.any.better
    direction = {"lower": "lower is better", "higher": "higher is better", "zero": "zero is best"}[better]
    values = [math.nan if value is None else value for value, _, _ in found]
    goodness = [-abs(each) if better == "zero" else each if better == "higher" else -each for each in values]
    title = f"{metric.audit.audit}: {metric.metric}"
    return _Quality(title, f"{metric.metric}, {metric.any.unit} ({direction})", found, goodness)


def _scatter(labels: Sequence[str], quality: _Quality, side: tuple[str, Sequence[float | None], str]) -> Scatter:
    axis, found, name = side
    amounts = [math.nan if amount is None else amount for amount in found]
    # Fewer bytes are better, and more tokens per second.
    front = pareto_front([-amount if name == "speed" else amount for amount in amounts], quality.goodness)
    return Scatter(
        title=f"{quality.title} against {name}",
        axis=f"{axis} ({'higher' if name == 'speed' else 'lower'} is better)",
        vertical=quality.axis,
        points=tuple(
            (label, amount, *point) for label, amount, point in zip(labels, found, quality.points, strict=True)
        ),
        front=tuple(labels[point] for point in front),
        logarithmic=_far_apart([amount for amount in found if amount is not None]),
    )


def _far_apart(amounts: Sequence[float]) -> bool:
    return min(amounts) > 0 and max(amounts) / min(amounts) > _FAR


def _cost(run: Run, audits: Sequence[AuditRecord]) -> Cost:
    seconds = sum(audit.timing.engine_seconds for audit in audits)
    tokens = sum(audit.timing.generated_tokens for audit in audits)
    speed = tokens / seconds if seconds > 0 else None
    model = run.model
    if model is None:
        return Cost(None, None, counted=False, tokens_per_second=speed)
    counted = model.weight_bytes
    width = _BYTES.get(model.dtype or "") if model.quantization is None else None
    size = counted if counted is not None else model.parameters * width if model.parameters and width else None
    return Cost(model.parameters, size / _GIB if size else None, counted is not None, speed)


def _generates(audit: AuditRecord) -> bool:
    """Whether an audit's time was spent on generating alone, and all of it in this run."""
    timing = audit.timing
    return timing.kept == 0 and timing.generated_tokens > 0 and timing.scored_tokens == 0 and timing.engine_seconds > 0
