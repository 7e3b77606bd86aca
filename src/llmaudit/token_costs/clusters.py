"""From passages to the documents they come from, and from languages to the worst one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from llmaudit.audit import Metric
from llmaudit.stats import worst_of
from llmaudit.token_costs.counts import Array
from llmaudit.types import Estimate, Interval

__all__ = ["LEVEL", "Documents", "counting_problem", "with_worst"]

LEVEL = 0.90
#: Share of unknown tokens above which a token count says nothing (Petrov et al. 2023, section 3).
MAX_UNKNOWN = 0.10
#: Share of passages without a count above which the others cannot stand for them.
MAX_MISSING = 0.20


@dataclass(frozen=True, slots=True)
class Documents:
    """Sums of counts by document, over the passages that have all of those counts."""

    names: tuple[str, ...]
    """Every document, also one of which nothing could be counted."""
    sums: tuple[Array, ...]
    """One array per count, shape (documents,); NaN for a document of which nothing could be counted."""
    passages: int
    """Number of passages that went in."""
    missing: int
    """Number of passages that could not."""

    @classmethod
    def of(cls, counts: Sequence[Array], documents: Sequence[str] | None) -> Documents:
        """Add up one or more counts per passage; `documents` names each passage's, None makes every passage its own."""
        asked = len(counts[0])
        labels = documents or [f"sentence {number:03}" for number in range(1, asked + 1)]
        place = {name: number for number, name in enumerate(dict.fromkeys(labels))}
        rows = np.array([place[label] for label in labels], dtype=np.int64)
        finite = np.isfinite(np.stack(counts)).all(axis=0)
        counted = np.bincount(rows[finite], minlength=len(place)) > 0
        sums = [np.bincount(rows[finite], weights=each[finite], minlength=len(place)) for each in counts]
        used = int(finite.sum())
        return cls(tuple(place), tuple(np.where(counted, each, np.nan) for each in sums), used, asked - used)

    @property
    def kept(self) -> tuple[Array, ...]:
        """The sums without the documents of which nothing could be counted."""
        counted = np.isfinite(self.sums[0])
        return tuple(each[counted] for each in self.sums)


def counting_problem(missing: int, asked: int, unknown: float) -> str | None:
    """Say why the counts of a language cannot be judged: too many passages missing, or tokens unknown."""
    if missing > MAX_MISSING * asked:
        return f"{missing} of {asked} sentences could not be counted"
    if unknown > MAX_UNKNOWN:
        return f"{unknown:.0%} of the tokens are unknown (at most {MAX_UNKNOWN:.0%})"
    return None


def with_worst(
    name: str, metric: Metric, facets: Sequence[Estimate], simultaneous: Sequence[Interval | None]
) -> dict[str, Estimate]:
    """Return the facets, and under the bare name the worst of them, on intervals that hold together."""
    worst = worst_of(simultaneous, [facet.value for facet in facets], metric.better)
    # A language that cannot be judged may be the worst one.
    problem = next((f"{facet.metric}: {facet.problem}" for facet in facets if facet.problem), None)
    bare = replace(facets[worst.facet], metric=name, value=worst.value, interval=worst.interval, problem=problem)
    return {name: bare, **{facet.metric: facet for facet in facets}}
