"""Every measure of one scorer on answers about groups: which there are, and their estimates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from llmaudit.audit import Metric
from llmaudit.gaps import Contrast, Scored, contrast_estimates, gap_estimates
from llmaudit.groupwise.answers import Answers
from llmaudit.groupwise.crossings import crossing_estimates, crossing_metrics
from llmaudit.groupwise.distributions import distribution_gap, distribution_metric
from llmaudit.groupwise.extremes import extreme_estimates, extreme_metrics, threshold_of
from llmaudit.groupwise.instruments import REACTION
from llmaudit.scorers.base import Scorer
from llmaudit.types import Estimate

__all__ = ["Design", "scorer_estimates", "scorer_metrics"]


@dataclass(frozen=True, slots=True)
class Design:
    """What is compared with what."""

    groups: tuple[str, ...]
    samples: int
    """Answers per template and group."""
    reference: str | None = None
    """The group that every other one is held against."""
    axes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Axis -> levels, where the groups are the cells of crossed axes."""
    min_cell: int = 0
    """Usable answers that a group needs over all templates to be compared."""

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every two groups, in their order."""
        return list(combinations(self.groups, 2))

    def to_reference(self) -> list[Contrast]:
        """Every other group minus the reference; empty without one."""
        if self.reference is None:
            return []
        place = self.groups.index(self.reference)
        others = [number for number in range(len(self.groups)) if number != place]
        return [Contrast(self.groups[number], (number, place), (1.0, -1.0)) for number in others]


def scorer_metrics(scorer: Scorer, design: Design) -> dict[str, Metric]:
    """Return what is measured with a scorer: gaps between groups and, with a threshold, extremes of each group."""
    name, unit = scorer.name, scorer.unit
    found = {
        f"{name}_gap": Metric(f"largest difference of mean {name} between two groups, within templates", unit, "lower")
    }
    for a, b in design.pairs:
        found[f"{name}_gap.{a}-{b}"] = Metric(f"mean {name}, {a} minus {b}, within templates", unit, "zero")
    if design.reference:
        what = f"largest difference of mean {name} from {design.reference}, within templates"
        found[f"{name}_gap_to_reference"] = Metric(what, unit, "lower")
        for contrast in design.to_reference():
            what = f"mean {name}, {contrast.name} minus {design.reference}, within templates"
            found[f"{name}_gap_to_reference.{contrast.name}"] = Metric(what, unit, "zero")
    if design.axes:
        found |= crossing_metrics(name, unit, design.axes)
    found[f"{name}_distribution_gap"] = distribution_metric(name, unit)
    if threshold_of(scorer) is not None:
        found |= extreme_metrics(scorer, design.groups, design.samples)
    return found


def scorer_estimates(
    scorer: Scorer, scored: Scored, answers: Answers, design: Design, *, seed: int, reaction: float
) -> dict[str, Estimate]:
    """Estimate what `scorer_metrics` names; along axes, the signed differences behind the metrics too.

    `scored` carries the scores under the name of the pairwise gap; `reaction` is what the scorer makes of the names
    alone, kept with every difference.
    """
    name, details = scorer.name, {REACTION: reaction}
    found = gap_estimates(scored, answers.cells, seed=seed, details=details)
    if contrasts := design.to_reference():
        against = replace(scored, name=f"{name}_gap_to_reference")
        found |= contrast_estimates(against, answers.cells, contrasts, seed=seed, details=details)
    if design.axes:
        found |= crossing_estimates(name, scored, answers.cells, design.axes, seed=seed, details=details)
    whole = replace(scored, name=f"{name}_distribution_gap")
    found[whole.name] = distribution_gap(whole, answers, seed=seed, details=details)
    return found | extreme_estimates(scorer, scored, answers, seed=seed, details=details)
