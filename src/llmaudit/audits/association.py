"""Kind association: how close words lie to each other inside the model (WEAT and SEAT). It never gates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, model_validator

from llmaudit.audit import Audit, AuditParams, CheckParams, Measurement, Metric, Name, Setting
from llmaudit.exhibits import Bars, Figure, Heatmap, Table
from llmaudit.stats.association import Association, associations, cosine_similarities, weat
from llmaudit.types import Embed, Embedding, Estimate, Request, Sample

__all__ = ["AssociationAudit"]

_SLOT = "{word}"
_REPORTED = "an association is reported and never judged: it has no interval to judge"

Array = NDArray[np.float64]


def _never_gates(check: CheckParams) -> CheckParams:
    if check.role != "exploratory":
        raise ValueError(
            "an association never gates: distances inside a model need not go with what it does; say role: exploratory"
        )
    return check


def _tidy(word: str) -> str:
    if not word or word != word.strip():
        raise ValueError(f"a space at the start or end of the word {word!r}" if word.strip() else "an empty word")
    return word


def _frame(sentence: str) -> str:
    if sentence.count(_SLOT) != 1:
        raise ValueError(f"{sentence!r} needs the slot {_SLOT} once: the words take its place")
    if brace := next((character for character in sentence.replace(_SLOT, "") if character in "{}"), None):
        raise ValueError(f"a stray {brace!r}: the words take the place of {_SLOT}")
    return sentence


def _two_of_a_size(sets: dict[str, list[str]]) -> dict[str, list[str]]:
    (first, one), (second, other) = sets.items()
    if len(one) != len(other):
        raise ValueError(f"lists of unequal size: {first} has {len(one)} words, {second} has {len(other)}")
    return sets


_Words = list[Annotated[str, AfterValidator(_tidy)]]
_Sets = Annotated[dict[Name, _Words], Field(min_length=2, max_length=2), AfterValidator(_two_of_a_size)]


class AssociationAudit(Audit["AssociationAudit.Params"]):
    """Do the words of one group lie closer to one set of words than to another inside the model?

    The word embedding association test (WEAT, Caliskan et al. 2017), and with sentences its form for contextual models
    (SEAT, May et al. 2019). The target word is the unit: over its sentences it is averaged first, since sentences of
    one word are no independent stimuli.
    """

    kind = "association"
    needs = frozenset({Embed})
    limitations: ClassVar[tuple[str, ...]] = (
        "Associations inside a model need not go with what it writes: intrinsic measures do not correlate with"
        " extrinsic ones (Goldfarb-Tarrant et al. 2021). That is why this audit never fails a run.",
        "The effect size can be moved by the variance of the words alone, and can be 0 where there is bias (Schröder et"
        " al. 2024).",
        "Details of the implementation change the result: layer, pooling, sentences ('Mind your bias', arXiv"
        " 2211.08461). It is to be compared only with the same settings.",
        "Contextual embeddings point in much the same direction whatever the word (Ethayarajh 2019): the anisotropy is"
        " reported, and where it is near 1 associations are small differences of large numbers.",
        "The p-value is about other splits of these target words, and not about other words.",
    )

    class Params(AuditParams):
        """The parameters of an association test."""

        kind: Literal["association"]
        checks: dict[Name, Annotated[CheckParams, AfterValidator(_never_gates)]] = Field(min_length=1)
        """Metric name -> check, all of them exploratory."""
        targets: _Sets
        """Two lists of words for what is compared, four or more each, equally many."""
        attributes: _Sets
        """Two lists of words that targets may lie close to, equally many."""
        sentences: list[Annotated[str, AfterValidator(_frame)]] = Field(default=[])
        """Sentences with the slot {word} that every word is embedded in (SEAT); without any, the word alone (WEAT)."""
        layer: int = Field(default=-1, ge=-1)
        """0 for the embeddings of the vocabulary, n for the output of layer n, -1 for the last."""
        pooling: Literal["mean", "last"] = "mean"
        """Mean over the tokens of the text, or its last token."""

        @model_validator(mode="after")
        def _usable(self) -> AssociationAudit.Params:
            for key, sets, least in (("targets", self.targets, 4), ("attributes", self.attributes, 2)):
                name, size = next((name, len(words)) for name, words in sets.items())
                if size < least:
                    raise ValueError(f"{key}: {name} has {size} words, at least {least} are needed")
            seen: dict[str, str] = {}
            for name, words in (*self.targets.items(), *self.attributes.items()):
                for word in words:
                    if word in seen:
                        where = f"twice in {name}" if seen[word] == name else f"in {seen[word]} and in {name}"
                        raise ValueError(f"the word {word!r} stands {where}")
                    seen[word] = name
            if twice := next((each for each in self.sentences if self.sentences.count(each) > 1), None):
                raise ValueError(f"sentences: {twice!r} stands here twice")
            return self

        @property
        def frames(self) -> list[str]:
            """The sentences, or the slot alone."""
            return self.sentences or [_SLOT]

        @property
        def words(self) -> list[str]:
            """All words: targets, then attributes."""
            return [word for sets in (self.targets, self.attributes) for words in sets.values() for word in words]

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Effect size and statistic of the test, and how close words lie to each other in general."""
        (x, y), (a, b) = self.params.targets, self.params.attributes
        closer = f"how much closer {x} lie to {a} than to {b}, compared with {y}"
        return {
            "effect_size": Metric(closer, "standard deviations", "zero"),
            "statistic": Metric(f"{closer}: sum over the words", "cosine", "zero"),
            "similarity_within": Metric("mean cosine of two targets of one list", "cosine", "higher"),
            "similarity_between": Metric("mean cosine of two targets of different lists", "cosine", "lower"),
            "anisotropy": Metric("mean cosine of two words, whichever", "cosine", "lower"),
        }

    def requests(self) -> Iterator[Request]:
        """Every word in every sentence."""
        for role, sets in (("target", self.params.targets), ("attribute", self.params.attributes)):
            for name, words in sets.items():
                for word in words:
                    for frame in self.params.frames:
                        yield Embed(
                            text=frame.replace(_SLOT, word),
                            cluster=word,
                            pooling=self.params.pooling,
                            layer=self.params.layer,
                            factors={"role": role, "set": name, "sentence": frame},
                        )

    def problems(self) -> Mapping[str, str]:
        """A limit is never judged."""
        limited = (metric for metric, check in self.params.checks.items() if (check.max, check.min) != (None, None))
        return dict.fromkeys(limited, _REPORTED)

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Compare the associations of the two lists of targets."""
        cosines = self._cosines(samples)
        to_a, to_b = self._to_attributes(cosines)
        per_word = associations(to_a, to_b)
        found = weat(per_word[: self._size], per_word[self._size :], self.seed)
        estimates = self._estimates(samples, cosines, per_word, found)
        if not np.isfinite(cosines).all():
            return Measurement(estimates)
        return Measurement(
            estimates=estimates,
            figures=self._figures(cosines, per_word),
            tables=(self._table(cosines, per_word),),
            notes=(self._note(found),),
        )

    def settings(self) -> Sequence[Setting]:
        """Words and sentences."""
        sets = (*self.params.targets.items(), *self.params.attributes.items())
        return [
            *super().settings(),
            *(Setting(name, ", ".join(words)) for name, words in sets),
            Setting("sentences", " | ".join(self.params.sentences) or "none: the words alone"),
        ]

    @property
    def _size(self) -> int:
        """Number of targets in a list."""
        return len(next(iter(self.params.targets.values())))

    def _cosines(self, samples: Sequence[Sample]) -> Array:
        """Cosines of all pairs of words; NaN for a word without a direction, and throughout where one is missing."""
        vectors: dict[tuple[str, str], tuple[float, ...]] = {}
        for sample in samples:
            if isinstance(sample.response, Embedding):
                vectors[sample.request.cluster, str(sample.request.factors["sentence"])] = sample.response.vector
        words, frames = self.params.words, self.params.frames
        if any((word, frame) not in vectors for word in words for frame in frames):
            return np.full((len(words), len(words)), np.nan)
        return cosine_similarities([[vectors[word, frame] for frame in frames] for word in words])

    def _to_attributes(self, cosines: Array) -> tuple[Array, Array]:
        """Cosines of every target with every attribute of either list, shapes (targets, attributes)."""
        targets = 2 * self._size
        middle = (targets + len(cosines)) // 2
        return cosines[:targets, targets:middle], cosines[:targets, middle:]

    def _estimates(
        self, samples: Sequence[Sample], cosines: Array, per_word: Array, found: Association
    ) -> dict[str, Estimate]:
        x, y = slice(0, self._size), slice(self._size, 2 * self._size)
        values = {
            "effect_size": found.effect_size,
            "statistic": found.statistic,
            "similarity_within": (_mean_pair(cosines[x, x]) + _mean_pair(cosines[y, y])) / 2,
            "similarity_between": float(cosines[x, y].mean()),
            "anisotropy": _mean_pair(cosines),
        }
        embedded = sum(isinstance(sample.response, Embedding) for sample in samples)
        missing = len(self.params.words) * len(self.params.frames) - embedded
        problem = f"{missing} embeddings are missing, and the lists must be whole" if missing else None
        estimates = {
            name: Estimate(
                metric=name,
                value=values[name],
                interval=None,
                unit=metric.unit,
                better=metric.better,
                n=embedded,
                clusters=0 if missing else len(per_word),
                missing=missing,
                problem=problem or _problem(name, values[name]),
            )
            for name, metric in self.metrics.items()
        }
        words = dict(zip(self._targets, map(float, per_word), strict=True))
        details = {"splits": float(found.splits), "exact": float(found.exact)}
        p_value = None if math.isnan(found.p_value) else found.p_value
        for name in ("effect_size", "statistic"):
            estimates[name] = replace(estimates[name], p_value=p_value, cluster_values=words, details=details)
        return estimates

    @property
    def _targets(self) -> list[str]:
        return [word for words in self.params.targets.values() for word in words]

    def _figures(self, cosines: Array, per_word: Array) -> tuple[Figure, ...]:
        a, b = self.params.attributes
        labels = [f"{name}: {word}" for name, words in self.params.targets.items() for word in words]
        rows = tuple(zip(labels, map(float, per_word), strict=True))
        words = tuple(self.params.words)
        return (
            Bars(f"Association of every target with {a} (right) or {b} (left)", "difference of mean cosines", rows),
            Heatmap(
                "Similarity of all words", "cosine", words, words, tuple(tuple(map(float, row)) for row in cosines)
            ),
        )

    def _table(self, cosines: Array, per_word: Array) -> Table:
        a, b = self.params.attributes
        owners = [name for name, words in self.params.targets.items() for _ in words]
        means = (each.mean(axis=1).tolist() for each in self._to_attributes(cosines))
        rows = tuple(zip(self._targets, owners, *means, per_word.tolist(), strict=True))
        return Table("Every target word", ("word", "list", f"cosine with {a}", f"cosine with {b}", "association"), rows)

    def _note(self, found: Association) -> str:
        how = f"all {found.splits:,}" if found.exact else f"{found.splits:,} random"
        x, a = next(iter(self.params.targets)), next(iter(self.params.attributes))
        return f"p is one-sided, for {x} lying closer to {a}, over {how} splits of the targets into equal lists."


def _problem(name: str, value: float) -> str:
    """Say why an estimate is not judged."""
    if not math.isnan(value):
        return _REPORTED
    if name == "effect_size":
        return (
            "no target lies closer to either list than another does, or a word has no direction: nothing to divide by"
        )
    return "a word has an embedding without a direction: zero, or not finite"


def _mean_pair(cosines: Array) -> float:
    """Mean cosine of two different words."""
    size = len(cosines)
    return float((cosines.sum() - np.trace(cosines)) / (size * (size - 1)))


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [AssociationAudit]
