"""How far the clusters of a metric lie apart: measured by an earlier run, or assumed and said to be."""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmaudit.audit import Metric
from llmaudit.changes import Changes
from llmaudit.records import AuditRecord, EstimateRecord
from llmaudit.run import Run
from llmaudit.stats import PassRule, VarianceComponents

__all__ = ["Spread", "assumed", "changed", "components_of", "measured", "whole_of"]

#: Units of shares -> what the whole is.
_WHOLE = {"proportion": 1.0, "probability": 1.0, "share of prompts": 1.0, "%": 100.0}
_SCALE = re.compile(r"(-?\d+(?:\.\d+)?) to (\d+(?:\.\d+)?)")
#: Factors that say how a sample was asked, and not which condition it belongs to.
_INSIDE = {"paraphrase", "name"}


@dataclass(frozen=True, slots=True)
class Spread:
    """The standard deviation of one cluster's value, in the unit of the metric."""

    sd: float
    source: str
    """Where it is from, in words."""
    measured: bool
    components: VarianceComponents | None = None
    """What of its square more samples would reduce; None where it is not known."""
    samples: float | None = None
    """Samples per cell that the components were measured with."""

    def at(self, samples: float | None) -> float:
        """Return the standard deviation with another number of samples per cell, as far as that can be known."""
        if self.components is None or self.samples is None or samples is None or samples == self.samples:
            return self.sd
        return math.sqrt(self.components.between + self.components.within / samples)


def whole_of(unit: str) -> float | None:
    """What the whole is of a unit of shares; None for any other."""
    return _WHOLE.get(unit)


def measured(
    estimate: EstimateRecord, components: tuple[VarianceComponents, float] | None, where: str
) -> Spread | None:
    """Return the spread of an estimate's clusters in an earlier run; None where it has too few to tell.

    `where` names the run in words.
    """
    values = [value for value in estimate.cluster_values.values() if value is not None]
    if len(values) < 3:
        return None
    found, samples = components or (None, None)
    sd = float(np.std(values, ddof=1))
    return Spread(sd, f"measured in {where}", measured=True, components=found, samples=samples)


def changed(before: AuditRecord, after: AuditRecord, metric: str) -> tuple[float | None, tuple[str, ...]]:
    """Return the standard deviation of a metric's change from one run to another, and the facets that it is made of.

    Cluster by cluster, of the facet that varies most; None where they share too few clusters to tell.
    """
    one, other = ({each.metric: each.estimate() for each in audit.estimates} for audit in (before, after))
    parts = tuple(Changes(one, other, 0).behind(metric)) or (metric,)
    deviations = [_deviation(one[part].cluster_values, other[part].cluster_values) for part in parts]
    known = [each for each in deviations if each is not None]
    return (max(known) if len(known) == len(parts) else None), parts


def _deviation(before: Mapping[str, float], after: Mapping[str, float]) -> float | None:
    pairs = [after[cluster] - value for cluster, value in before.items() if cluster in after]
    found = [pair for pair in pairs if math.isfinite(pair)]
    return float(np.std(found, ddof=1)) if len(found) > 2 else None


def assumed(metric: Metric, rule: PassRule) -> Spread | None:
    """Return what is assumed where nothing was measured: the worst of a share, a quarter of a scale; None of the rest.

    A share that is 0 in half of the clusters and 1 in the others has a standard deviation of half the whole, one that
    lies at its limit m less: sqrt(m (1 - m)) of it.
    """
    whole = whole_of(metric.unit)
    bound = rule.limit.max if rule.limit.max is not None else rule.limit.min
    if whole is not None and bound is not None and not rule.signed:
        share = min(max(bound / whole, 0.0), 1.0)
        sd = whole * math.sqrt(share * (1 - share))
        return Spread(sd, "assumed: the worst of a share that lies at the limit", measured=False)
    if whole is not None:
        return Spread(whole / 2, "assumed: half the whole, the worst of a share", measured=False)
    scale = _SCALE.search(metric.unit)
    if scale or metric.unit == "cosine":
        low, high = (float(scale[1]), float(scale[2])) if scale else (-1.0, 1.0)
        return Spread((high - low) / 4, "assumed: a quarter of the scale", measured=False)
    return None


def components_of(run: Run) -> dict[str, dict[str, tuple[VarianceComponents, float]]]:
    """Split the variance of every estimate that is a scorer's mean or gap, by the samples of a run.

    Audit id -> metric -> (components, samples per cell). A cell is a cluster under one condition; its variance is that
    of the numbers inside. A difference has two cells to a cluster (docs/statistics.md section 0.4). Nothing is known
    where the samples are not there, or a cell has one only.
    """
    cells = _cells(run)
    return {audit.id: dict(_split(audit, cells.get(audit.id, {}))) for audit in run.audits}


def _split(
    audit: AuditRecord, cells: Mapping[str, tuple[float, float]]
) -> Iterator[tuple[str, tuple[VarianceComponents, float]]]:
    for estimate in audit.estimates:
        name = estimate.metric.partition(".")[0].removesuffix("_gap")
        values = [value for value in estimate.cluster_values.values() if value is not None]
        if name not in cells or len(values) < 3:
            continue
        within, samples = cells[name]
        sides = 2 if _is_difference(estimate, audit) else 1
        between = max(0.0, float(np.var(values, ddof=1)) - sides * within / samples)
        yield estimate.metric, (VarianceComponents(between, sides * within), samples)


def _is_difference(estimate: EstimateRecord, audit: AuditRecord) -> bool:
    facets = (other for other in audit.estimates if other.metric.startswith(f"{estimate.metric}."))
    return estimate.better == "zero" or any(facet.better == "zero" for facet in facets)


def _cells(run: Run) -> dict[str, dict[str, tuple[float, float]]]:
    """Audit id -> scorer -> (mean variance inside a cell, samples per cell)."""
    numbers: dict[tuple[str, str], dict[tuple[Any, ...], list[float]]] = {}
    for line in _lines(run.folder):
        factors = tuple(sorted((k, v) for k, v in line.get("factors", {}).items() if k not in _INSIDE))
        for name, value in line.get("scores", {}).items():
            if value is not None:
                cell = numbers.setdefault((f"{line['suite']}/{line['audit']}", name), {})
                cell.setdefault((line["cluster"], factors), []).append(value)
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for (audit, name), cells in numbers.items():
        if all(len(cell) > 1 for cell in cells.values()):
            variance = float(np.mean([np.var(cell, ddof=1) for cell in cells.values()]))
            found.setdefault(audit, {})[name] = variance, float(np.mean([len(cell) for cell in cells.values()]))
    return found


def _lines(folder: Path | None) -> Iterator[dict[str, Any]]:
    path = folder / "samples.jsonl.gz" if folder is not None else None
    if path is None or not path.is_file():
        return
    # Half a file, as an interruption leaves it, is as good as its first half.
    with suppress(OSError, EOFError, ValueError, zlib.error), gzip.open(path, "rt", encoding="utf-8") as stream:
        for text in stream:
            yield json.loads(text)
