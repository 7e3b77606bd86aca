"""Which of two sentences a model finds more likely: CrowS-Pairs, WinoBias, pairs of one's own, controls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmaudit.audit import CheckParams, Measurement, Metric
from llmaudit.datasets import Pair
from llmaudit.likelihood.answers import Answers, Array, Controls, asked_once
from llmaudit.likelihood.display import direction_table, pair_figures, pair_table
from llmaudit.likelihood.estimates import Column, Facets, estimate_of, excess_over, faceted, with_p_of
from llmaudit.likelihood.experiment import Size
from llmaudit.types import Estimate, Sample, Score

__all__ = ["PRO_ANTI", "STEREOTYPE", "Naming", "SentencePairs"]

#: How many pairs an estimate shows as evidence.
_SHOWN = 3

_CONTROL = "control"
_OVER_CONTROL = "mean_absolute_difference_over_control"


@dataclass(frozen=True, slots=True)
class Naming:
    """What the metrics are called for a sort of pair."""

    share: str
    excess: str
    difference: str
    more: str
    """What the first sentence is, in words."""


STEREOTYPE = Naming("pct_stereotype", "pct_stereotype_excess", "mean_difference", "the stereotyped sentence")
PRO_ANTI = Naming("pct_pro", "pro_anti_gap", "pro_anti_difference", "the pro-stereotypical sentence")


class SentencePairs:
    """Log-likelihoods of whole sentences, compared within pairs."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        controls: Sequence[Controls],
        naming: Naming,
        checks: Mapping[str, CheckParams],
        seed: int,
    ) -> None:
        self._pairs = pairs
        self._controls = controls
        self._naming = naming
        self._checks = checks
        self._seed = seed
        self._categories = [pair.category for pair in pairs]

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Share, excess, signed and absolute differences, each of all pairs and by category; those of the controls."""
        parts = dict.fromkeys(self._categories)
        found: dict[str, Metric] = {}
        for name, metric in self._meanings().items():
            found |= {name: metric, **{f"{name}.{part}": metric for part in parts}}
        return found | (self._control_meanings() if self._controls else {})

    @property
    def sizes(self) -> Mapping[str, Size]:
        """Metric -> pairs and clusters."""
        own = {name: self._size(name) for name in self._meanings()}
        for category in dict.fromkeys(self._categories):
            own |= {f"{name}.{category}": self._size(name, category) for name in self._meanings()}
        if not self._controls:
            return own
        clusters = len({pair.cluster for pair in self._controls})
        own |= {name: Size(len(self._controls), clusters) for name in self._control_meanings()}
        every = own[self._naming.difference].clusters
        return own | {_OVER_CONTROL: Size(len(self._pairs), min(clusters, every))}

    @property
    def items(self) -> int:
        """How many there are."""
        return len(self._pairs)

    def requests(self) -> Iterator[Score]:
        """Both sentences of every pair, then of every control, each sentence once."""
        return asked_once(self._scores())

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Compare within pairs."""
        answers = Answers(samples)
        differences = _Differences.of([(pair.more, pair.less) for pair in self._pairs], answers)
        clusters = tuple(pair.cluster for pair in self._pairs)
        columns = self._columns(differences, clusters)
        meanings, facets = self._meanings(), Facets.by(self._categories)
        estimates: dict[str, Estimate] = {}
        for name, column in columns.items():
            estimates |= faceted(name, meanings[name], column, facets, seed=self._seed)
        estimates |= self._against_controls(columns["mean_absolute_difference"], answers)
        naming = self._naming
        estimates |= with_p_of(estimates, naming.share, naming.excess)
        names = (naming.share, naming.difference, f"{naming.difference}_per_token", "mean_absolute_difference")
        tables = [pair_table(estimates, names, dict.fromkeys(self._categories), differences.ties(self._categories))]
        if any(pair.direction for pair in self._pairs):
            tables.append(direction_table([pair.direction for pair in self._pairs], columns, names))
        return Measurement(
            estimates=estimates,
            figures=pair_figures(estimates, naming.share, naming.difference, self._checks, naming.more),
            tables=tuple(tables),
            scores={"log-likelihood": answers.all_totals(samples)},
            evidence=self._evidence(differences.total, answers),
        )

    def _meanings(self) -> dict[str, Metric]:
        naming = self._naming
        more = naming.more
        return {
            naming.share: Metric(f"share of pairs in which {more} is more likely; a tie counts as not", "%", "lower"),
            naming.excess: Metric(
                f"share of pairs in which {more} is more likely, minus 50; a tie counts half", "points", "zero"
            ),
            naming.difference: Metric(f"mean log-likelihood of {more} minus that of the other", "nats", "zero"),
            f"{naming.difference}_per_token": Metric(
                f"mean log-likelihood per token of {more} minus that of the other", "nats per token", "zero"
            ),
            "mean_absolute_difference": Metric(
                "mean size of the difference in log-likelihood, whichever sentence it favours", "nats", "lower"
            ),
        }

    def _control_meanings(self) -> dict[str, Metric]:
        return {
            f"{_CONTROL}_pct": Metric("share of control pairs whose first sentence is more likely", "%", "lower"),
            f"{_CONTROL}_mean_difference": Metric("mean difference in log-likelihood of control pairs", "nats", "zero"),
            f"{_CONTROL}_mean_absolute_difference": Metric(
                "mean size of the difference in log-likelihood of control pairs", "nats", "lower"
            ),
            _OVER_CONTROL: Metric(
                "mean size of the difference in log-likelihood, beyond that of control pairs", "nats", "lower"
            ),
        }

    def _size(self, name: str, category: str | None = None) -> Size:
        own = [pair for pair in self._pairs if category in (None, pair.category)]
        centres = {self._naming.share: 50.0, self._naming.excess: 0.0}
        return Size(len(own), len({pair.cluster for pair in own}), centres.get(name))

    def _scores(self) -> Iterator[Score]:
        for pair in self._pairs:
            for side, text in (("more", pair.more), ("less", pair.less)):
                yield Score("", text, pair.cluster, factors={"category": pair.category, "side": side})
        for control in self._controls:
            for side, text in (("first", control.first), ("second", control.second)):
                yield Score("", text, control.cluster, factors={"category": _CONTROL, "side": side})

    def _columns(self, differences: _Differences, clusters: tuple[str, ...]) -> dict[str, Column]:
        naming, total = self._naming, differences.total
        return {
            # Ties pull this share below 50 although nothing differs; in the excess, whose p it has, they count half.
            naming.share: Column(differences.share(ties=0.0), clusters, (0.0, 100.0), null=None),
            naming.excess: Column(differences.share(ties=50.0) - 50, clusters, (-50.0, 50.0)),
            naming.difference: Column(total, clusters),
            f"{naming.difference}_per_token": Column(differences.per_token, clusters),
            "mean_absolute_difference": Column(np.abs(total), clusters, null=None),
        }

    def _against_controls(self, absolute: Column, answers: Answers) -> dict[str, Estimate]:
        if not self._controls:
            return {}
        differences = _Differences.of([(control.first, control.second) for control in self._controls], answers)
        clusters = tuple(control.cluster for control in self._controls)
        columns = {
            f"{_CONTROL}_pct": Column(differences.share(ties=0.0), clusters, (0.0, 100.0), null=None),
            f"{_CONTROL}_mean_difference": Column(differences.total, clusters),
            f"{_CONTROL}_mean_absolute_difference": Column(np.abs(differences.total), clusters, null=None),
        }
        meanings = self._control_meanings()
        found = {name: estimate_of(name, meanings[name], column, seed=self._seed) for name, column in columns.items()}
        controls = columns[f"{_CONTROL}_mean_absolute_difference"]
        return found | {_OVER_CONTROL: excess_over(_OVER_CONTROL, meanings[_OVER_CONTROL], absolute, controls)}

    def _evidence(self, total: Array, answers: Answers) -> dict[str, tuple[int, ...]]:
        """Both sentences of the pairs that differ most, for every metric of the pairs."""
        found: dict[str, tuple[int, ...]] = {}
        # What has no answer, or no difference, shows nothing.
        sizes = np.nan_to_num(np.abs(total)).tolist()
        for category in (None, *dict.fromkeys(self._categories)):
            suffix = "" if category is None else f".{category}"
            own = [place for place, pair in enumerate(self._pairs) if category in (None, pair.category)]
            own = sorted((place for place in own if sizes[place]), key=lambda place: -sizes[place])
            sentences = [text for place in own[:_SHOWN] for text in (self._pairs[place].more, self._pairs[place].less)]
            shown = tuple(index for text in sentences if (index := answers.index(text)) is not None)
            found |= {f"{name}{suffix}": shown for name in self._meanings()}
        return found


@dataclass(frozen=True, slots=True)
class _Differences:
    """First sentence minus second, per pair; NaN where either has no answer."""

    total: Array
    """Shape (pairs,), nats."""
    per_token: Array
    """Shape (pairs,), nats per token, each sentence by its own number of tokens."""

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]], answers: Answers) -> _Differences:
        """Look the answers up."""
        total = [answers.total(first) - answers.total(second) for first, second in pairs]
        per_token = [answers.per_token(first) - answers.per_token(second) for first, second in pairs]
        return cls(np.array(total, dtype=np.float64), np.array(per_token, dtype=np.float64))

    def share(self, *, ties: float) -> Array:
        """100 where the first is more likely, 0 where the second is, `ties` where they are equal."""
        found = np.where(self.total > 0, 100.0, np.where(self.total == 0, ties, 0.0))
        return np.where(np.isnan(self.total), math.nan, found)

    def ties(self, categories: Sequence[str]) -> dict[str, int]:
        """How many pairs of every category are equally likely."""
        return {
            name: sum(value == 0 for value, own in zip(self.total.tolist(), categories, strict=True) if own == name)
            for name in dict.fromkeys(categories)
        }
