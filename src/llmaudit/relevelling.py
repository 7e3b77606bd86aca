"""An interval at another level: made again from the values of its clusters, where that gives what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from llmaudit.changes import facets_of
from llmaudit.gaps import proportion_interval
from llmaudit.stats import t_interval, worst_of
from llmaudit.types import Estimate, Interval

__all__ = ["relevelled"]

#: How far from 0 one cluster may lie: a share, a difference of two, a percentage, a difference of two.
_REACHES = (1.0, 2.0, 50.0, 100.0, 200.0)
_TOLERANCE = 1e-9

#: Makes the interval of clusters' values at a level of coverage.
_Maker = Callable[[NDArray[np.float64], float], Interval | None]


def relevelled(estimates: Mapping[str, Estimate], metric: str, level: float) -> Estimate | None:
    """Return an estimate with its interval at another level; None where its interval cannot be made again.

    `estimates` are all of an audit: the worst of several facets takes theirs. Every way to make an interval from values
    of clusters is tried at the level that was measured; the one that gives the same bounds is used. So nothing is
    assumed of how a kind makes its intervals, and bootstraps, ratios and intervals widened for a scorer's errors, which
    take more than the clusters' values, give None. A deterministic estimate, and one without an interval, stay as they
    are.
    """
    estimate = estimates[metric]
    if estimate.deterministic or estimate.interval is None:
        return estimate
    facets = [estimates[name] for name in facets_of(metric, list(estimates))]
    for maker in _makers(len(facets)):
        for parts in ([estimate], facets) if facets else ([estimate],):
            again = _made(estimate, parts, maker, estimate.interval.level)
            if again is not None and _alike(again, estimate.interval):
                found = _made(estimate, parts, maker, level)
                return replace(estimate, interval=replace(found, method=estimate.interval.method)) if found else None
    return None


def _makers(facets: int) -> Iterator[_Maker]:
    for together in sorted({1, facets or 1}):
        yield _at_once(t_interval, together)
        for reach in _REACHES:
            yield _at_once(_of_shares(reach), together)


def _at_once(maker: _Maker, together: int) -> _Maker:
    """Make intervals of which so many hold together (Bonferroni)."""

    def made(values: NDArray[np.float64], level: float) -> Interval | None:
        found = maker(values, 1 - (1 - level) / together)
        return found and replace(found, level=level)

    return made


def _of_shares(reach: float) -> _Maker:
    def made(values: NDArray[np.float64], level: float) -> Interval | None:
        found = proportion_interval(values / reach, level)
        return found and replace(found, low=found.low * reach, high=found.high * reach)

    return made


def _made(estimate: Estimate, parts: Sequence[Estimate], maker: _Maker, level: float) -> Interval | None:
    intervals = [maker(_values(part), level) for part in parts]
    if len(parts) == 1 and parts[0] is estimate:
        return intervals[0]
    return worst_of(intervals, [part.value for part in parts], parts[0].better).interval


def _values(estimate: Estimate) -> NDArray[np.float64]:
    return np.array([value for value in estimate.cluster_values.values() if math.isfinite(value)], dtype=np.float64)


def _alike(one: Interval, other: Interval) -> bool:
    scale = max(abs(other.low), abs(other.high), other.high - other.low, 1e-300)
    return abs(one.low - other.low) <= _TOLERANCE * scale and abs(one.high - other.high) <= _TOLERANCE * scale
