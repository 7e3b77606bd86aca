"""Names as signals of a group: how far answers differ between names that ought to be interchangeable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from llmaudit.audit import Table
from llmaudit.groupwise.answers import Answers
from llmaudit.types import Estimate

__all__ = ["NameSpread", "name_spread", "name_table", "with_names"]

_RESAMPLES = 9999


@dataclass(frozen=True, slots=True)
class NameSpread:
    """How names score, each against what the same templates give on average over the groups that have names."""

    effects: Mapping[str, Mapping[str, float]]
    """Group -> name -> mean score above the template's mean, in the unit of the scores; NaN for a name unheard of."""
    seed: int

    def sd(self, group: str) -> float:
        """Standard deviation between the names of one group, the noise of their answers included."""
        known = self._known(group)
        return float(known.std(ddof=1)) if known.size > 1 else math.nan

    def p_value(self, one: str, other: str) -> float | None:
        """Two-sided p of the gap when the names, not the answers, are shuffled between the two groups.

        It is exact up to 9,999 ways to share the names out. A gap that is usual among such shares is no larger than one
        between interchangeable names. None where a group has fewer than 2 names with a score.
        """
        a, b = self._known(one), self._known(other)
        if min(a.size, b.size) < 2:
            return None
        if not np.ptp(np.concatenate([a, b])):
            return 1.0
        found = stats.permutation_test(
            (a, b),
            lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
            vectorized=True,
            n_resamples=_RESAMPLES,
            rng=np.random.default_rng(self.seed),
        )
        return min(1.0, float(found.pvalue))

    def _known(self, group: str) -> NDArray[np.float64]:
        effects = np.array(list(self.effects[group].values()))
        return np.asarray(effects[np.isfinite(effects)])


def name_spread(
    values: NDArray[np.float64], answers: Answers, names: Mapping[str, Sequence[str]], seed: int
) -> NameSpread:
    """Compare names; `values` has shape (samples,) and `names` holds the names of every group that has some."""
    cells = answers.cells
    named = np.array([name is not None for name in answers.names])
    known = named & np.isfinite(values)
    sums, counts = np.zeros(len(cells.clusters)), np.zeros(len(cells.clusters))
    np.add.at(sums, cells.rows[known], values[known])
    np.add.at(counts, cells.rows[known], 1)
    above = values[known] - (sums / np.maximum(counts, 1))[cells.rows[known]]
    of_group, of_name = cells.columns[known], np.array(answers.names, dtype=object)[known]
    effects = {
        group: {name: _mean(above[(of_group == cells.groups.index(group)) & (of_name == name)]) for name in own}
        for group, own in names.items()
    }
    return NameSpread(effects, seed)


def with_names(estimates: Mapping[str, Estimate], name: str, spread: NameSpread) -> dict[str, Estimate]:
    """Return the pairwise gaps `NAME.a-b` of groups that have names, with the spread between names in their details."""
    found: dict[str, Estimate] = {}
    for a, b in combinations(spread.effects, 2):
        facet = estimates[f"{name}.{a}-{b}"]
        p_value = spread.p_value(a, b)
        details = {"sd between names": math.sqrt((spread.sd(a) ** 2 + spread.sd(b) ** 2) / 2)}
        details |= {} if p_value is None else {"p over names": p_value}
        found[facet.metric] = replace(facet, details={**facet.details, **details})
    return found


def name_table(spreads: Mapping[str, NameSpread], estimates: Mapping[str, Estimate]) -> Table:
    """Return, per scorer, the spread between the names of each group and the gaps beside it."""
    rows: list[tuple[str | float | int | None, ...]] = []
    for scorer, spread in spreads.items():
        for group, effects in spread.effects.items():
            known = {name: effect for name, effect in effects.items() if math.isfinite(effect)}
            lowest = min(known, key=known.__getitem__, default=None)
            highest = max(known, key=known.__getitem__, default=None)
            rows.append((f"{scorer}, among {group}", lowest, highest, spread.sd(group), None, None))
        for a, b in combinations(spread.effects, 2):
            gap = estimates[f"{scorer}_gap.{a}-{b}"].value
            rows.append((f"{scorer}, {a} minus {b}", None, None, None, gap, spread.p_value(a, b)))
    note = (
        "A gap between groups that is no larger than one between names of the same group is no effect of the group: p"
        " is that of the gap when the names are shuffled between the two groups."
    )
    columns = ("what", "lowest name", "highest name", "sd between names", "gap", "p over names")
    return Table("Names within the groups", columns, tuple(rows), note)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else math.nan
