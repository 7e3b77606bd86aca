"""Kind pairs: which of two sentences, or of several answers, a model finds more likely."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import (
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
    computed_field,
    field_validator,
    model_validator,
)

from llmaudit.audit import Audit, AuditParams, Measurement, Metric, Name, Setting, Spec
from llmaudit.datasets import (
    READERS,
    DataFile,
    Dataset,
    Pair,
    ReaderName,
    alignment_problem,
    from_hub,
    from_path,
    placed,
)
from llmaudit.likelihood import (
    PRO_ANTI,
    STEREOTYPE,
    Associations,
    Controls,
    Experiment,
    Questions,
    SentencePairs,
    chosen,
    precision_problem,
)
from llmaudit.types import Request, Sample, Score

__all__ = ["ControlParams", "DataParams", "PairParams", "Pairs"]

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]


class DataParams(Spec):
    """A public set: which one, and where its files are."""

    reader: ReaderName
    """Which set it is: crows_pairs, stereoset, winobias or bbq."""
    path: Text | None = None
    """A file, or the folder that holds the set's files; relative to the suite's folder."""
    hub: Text | None = None
    """A data set on the Hugging Face hub, as owner/name."""
    file: Text | list[Text] | None = None
    """Which file of that data set, or which files."""
    revision: Text | None = None
    """Which commit, tag or branch of it; the newest where left out."""

    _dataset: Dataset = PrivateAttr(default=Dataset())
    _files: tuple[DataFile, ...] = PrivateAttr(default=())

    @computed_field  # type: ignore[prop-decorator]  # as pydantic documents it
    @property
    def sha256(self) -> dict[str, str]:
        """SHA-256 of the bytes of every file that was read, by its name."""
        return {file.name: hashlib.sha256(file.data).hexdigest() for file in self._files}

    @property
    def dataset(self) -> Dataset:
        """What was read."""
        return self._dataset

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> DataParams:
        reader = READERS[self.reader]
        self._files = self._found(Path((info.context or {}).get("folder", Path())), reader.patterns)
        self._dataset = reader.read(self._files)
        if not (self._dataset.pairs or self._dataset.associations or self._dataset.questions):
            raise ValueError(f"{', '.join(file.name for file in self._files)}: the file is empty")
        return self

    def _found(self, folder: Path, patterns: Sequence[str]) -> tuple[DataFile, ...]:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path or hub: where the files are")
        if self.path is not None:
            if self.file is not None or self.revision is not None:
                raise ValueError("file and revision belong to hub; path names the file itself")
            return from_path(placed(self.path, folder), patterns)
        if self.hub is None or self.file is None:
            raise ValueError("hub needs file: which file of the data set to read")
        return from_hub(self.hub, [self.file] if isinstance(self.file, str) else self.file, self.revision)


class PairParams(Spec):
    """Two sentences that differ only in the group that they name."""

    category: Name
    """What the pair is about: gender, age, ..."""
    cluster: Text
    """The unit of analysis: pairs on one topic, or by one author, stand and fall together."""
    more: Text
    """The sentence that follows a stereotype."""
    less: Text
    """The same with another group."""

    @model_validator(mode="after")
    def _aligned(self) -> PairParams:
        if problem := alignment_problem(self.more, self.less):
            raise ValueError(problem)
        return self


class ControlParams(Spec):
    """Two sentences that differ in something that should not matter."""

    cluster: Text
    """The unit of analysis."""
    first: Text
    second: Text

    @model_validator(mode="after")
    def _aligned(self) -> ControlParams:
        if problem := alignment_problem(self.first, self.second):
            raise ValueError(problem)
        return self


class Pairs(Audit["Pairs.Params"]):
    """Does a model find a sentence likelier when the group in it fits a stereotype?

    Minimal pairs by log-likelihood, of whole sentences with the start token: CrowS-Pairs (Nangia et al. 2020),
    StereoSet (Nadeem et al. 2021), WinoBias (Zhao et al. 2018), BBQ (Parrish et al. 2022) or pairs of one's own. Values
    are means over items, as these sets are scored; intervals and p-values treat the cluster (writer, target,
    occupation, template) as the unit. Unlike in other kinds, a bare metric is that of all items together: the
    published number.
    """

    kind = "pairs"
    needs = frozenset({Score})
    limitations: ClassVar[tuple[str, ...]] = (
        "Many pairs of CrowS-Pairs and StereoSet have no clear stereotype, no minimal difference or faulty grammar, and"
        " WinoBias does not say which harm it stands for (Blodgett et al. 2021); the authors of CrowS-Pairs themselves"
        " warn of its use.",
        "Any change of words changes a likelihood. Without a set of control pairs a size says nothing about groups"
        " (Pikuliak et al. 2023), and a word that is merely frequent looks preferred.",
        "What a model finds likely does not predict what it does in a use (Goldfarb-Tarrant et al. 2021): intrinsic"
        " measures are no substitute for looking at answers.",
        "Rewording the items changes scores and the order of models (Selvam et al. 2023; Seshadri et al. 2022).",
        "A score of no difference can be the mean of opposite preferences: read the categories, and the clusters.",
        "Public sets stand in training data; a model may know them by heart.",
        "The sets are in English and about groups as seen from the United States.",
    )

    class Params(AuditParams):
        """The parameters of an audit of pairs."""

        kind: Literal["pairs"]
        data: DataParams | None = None
        """A public set, from a path or the hub."""
        pairs: list[PairParams] = Field(default=[])
        """Pairs written in the suite itself, in place of a public set."""
        controls: list[ControlParams] = Field(default=[])
        """Pairs whose difference should not matter: how much likelihoods differ for any reason."""
        limit: int | None = Field(default=None, ge=1)
        """At most this many items per category, whole clusters first, chosen by the seed; all where left out."""

        @field_validator("pairs")
        @classmethod
        def _decidable(cls, pairs: list[PairParams]) -> list[PairParams]:
            _refuse_doubles([(pair.more, pair.less) for pair in pairs], "pair")
            alone = [name for name, count in Counter(pair.category for pair in pairs).items() if count == 1]
            if alone:
                raise ValueError(f"the category {alone[0]!r} has one pair: nothing can be said from one")
            return pairs

        @field_validator("controls")
        @classmethod
        def _distinct(cls, controls: list[ControlParams]) -> list[ControlParams]:
            _refuse_doubles([(control.first, control.second) for control in controls], "control pair")
            return controls

        @model_validator(mode="after")
        def _one_source(self) -> Pairs.Params:
            if (self.data is None) == (not self.pairs):
                raise ValueError("needs either data (a public set) or pairs (your own)")
            if self.controls and self.data and not self.data.dataset.pairs:
                raise ValueError(f"controls: {self.data.reader} does not compare pairs of sentences")
            return self

    def __init__(self, params: Pairs.Params, **kwargs: Any) -> None:
        super().__init__(params, **kwargs)
        self._experiment = _experiment(params, self.seed)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics of the set, each of all items and by category."""
        return self._experiment.metrics

    def requests(self) -> Iterator[Request]:
        """Every text once."""
        return self._experiment.requests()

    def problems(self) -> Mapping[str, str]:
        """Categories with too few clusters, and shares of too few items for their limits."""
        checks = self.params.checks
        unlimited = {name for name, check in checks.items() if check.max is None and check.min is None}
        return {name: problem for name, problem in self._undecidable().items() if name not in unlimited}

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Compare the likelihoods; what the design cannot decide stays undecided."""
        found = self._experiment.measure(samples)
        problems = self._undecidable()
        estimates = {
            name: replace(estimate, problem=estimate.problem or problems.get(name))
            for name, estimate in found.estimates.items()
        }
        notes = self.params.data.dataset.notes if self.params.data else ()
        return replace(found, estimates=estimates, notes=(*found.notes, *notes))

    def settings(self) -> Sequence[Setting]:
        """Where the items come from, with the hashes of their files, and how many there are."""
        found = list(super().settings())
        if data := self.params.data:
            source = data.path or f"{data.hub}{'@' + data.revision if data.revision else ''}"
            found += [Setting("reader", data.reader), Setting("source", source)]
            found += [Setting(f"sha256 of {name}", digest) for name, digest in data.sha256.items()]
        items = Setting("items", str(self._experiment.items))
        return [*found, items, Setting("control pairs", str(len(self.params.controls)))]

    def _undecidable(self) -> dict[str, str]:
        sizes, metrics = self._experiment.sizes, self.metrics
        problems = {
            name: precision_problem(size, self.params.checks.get(name), metrics[name].better)
            for name, size in sizes.items()
        }
        return {name: problem for name, problem in problems.items() if problem}


def _experiment(params: Pairs.Params, seed: int) -> Experiment:
    """The comparison that suits the items."""
    data = params.data.dataset if params.data else Dataset()
    if data.associations:
        return Associations(chosen(data.associations, params.limit, seed), params.checks, seed)
    if data.questions:
        return Questions(chosen(data.questions, params.limit, seed), params.checks, seed)
    own = [
        Pair(pair.category, pair.cluster, pair.more, pair.less, f"pair {number}")
        for number, pair in enumerate(params.pairs, start=1)
    ]
    naming = PRO_ANTI if params.data and params.data.reader == "winobias" else STEREOTYPE
    controls = [Controls(control.cluster, control.first, control.second) for control in params.controls]
    return SentencePairs(chosen(data.pairs or own, params.limit, seed), controls, naming, params.checks, seed)


def _refuse_doubles(pairs: Sequence[tuple[str, str]], noun: str) -> None:
    """Refuse a pair that stands there twice, in either order; the sentences themselves are not quoted."""
    first: dict[frozenset[str], int] = {}
    for number, pair in enumerate(pairs, start=1):
        earlier = first.setdefault(frozenset(pair), number)
        if earlier != number:
            raise ValueError(f"{noun} {number} is {noun} {earlier} again")


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [Pairs]
