"""Classifiers as scorers: how a suite names any sequence classifier, and the scorer that it becomes."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
    computed_field,
    field_validator,
    model_validator,
)

from llmaudit.audit import Spec
from llmaudit.engines.hf.files import check_folder, hash_files, hash_weights, local_folder
from llmaudit.engines.models import Source
from llmaudit.errors import ModelError
from llmaudit.scorers.base import Validation

__all__ = ["Classifier", "ClassifierParams", "ValidatedParams"]

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
#: A metric's name begins with the scorer's, and a dot in it would begin a facet.
ScorerWord = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
Count = Annotated[int, Field(ge=0)]


class ValidatedParams(Spec):
    """How well a classifier does on texts that people have labelled, as the suite's author found it."""

    on: Text
    """Which texts, with their source."""
    texts: int | None = Field(default=None, ge=1)
    """How many; the sum of what sensitivity and specificity are of where left out."""
    auc: float | None = Field(default=None, ge=0, le=1)
    """Area under the ROC curve."""
    kappa: float | None = Field(default=None, ge=-1, le=1)
    """Cohen's kappa with the labels at the threshold."""
    sensitivity: tuple[Count, Count] | None = Field(default=None, strict=False)
    """[found, of how many texts that have the label]."""
    specificity: tuple[Count, Count] | None = Field(default=None, strict=False)
    """[left alone, of how many texts that lack it]."""

    @field_validator("sensitivity", "specificity")
    @classmethod
    def _share(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and (value[0] > value[1] or value[1] == 0):
            raise ValueError(f"[{value[0]}, {value[1]}] is no share: write [how many were right, of how many]")
        return value

    @model_validator(mode="after")
    def _says_something(self) -> ValidatedParams:
        if all(figure is None for figure in (self.auc, self.kappa, self.sensitivity, self.specificity)):
            raise ValueError("needs a figure: auc, kappa, sensitivity or specificity")
        if self.texts is None and not (self.sensitivity and self.specificity):
            raise ValueError("texts: how many texts were labelled?")
        return self

    def validation(self) -> Validation:
        """The same as the report and the audits need it."""
        counted = sum(share[1] for share in (self.sensitivity, self.specificity) if share)
        return Validation(
            f"texts: {self.on}",
            self.texts or counted,
            self.auc,
            self.kappa,
            self.sensitivity,
            self.specificity,
            source="as the suite states",
        )


class ClassifierParams(Spec):
    """A scorer made of a sequence classifier: a local folder, or a model of the Hugging Face hub."""

    name: ScorerWord
    """The name of the scorer, with which its metrics begin."""
    classifier: Text
    """Path of a model folder, relative to the suite's, or a hub id as owner/name."""
    label: Text
    """The label whose probability is the score."""
    version: Text | None = None
    """Commit, branch or tag of a model of the hub."""
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """From which probability on a text counts as having the label."""
    validated: ValidatedParams | None = None
    _source: Source = PrivateAttr()
    _scorer: Classifier | None = PrivateAttr(default=None)

    @field_validator("name")
    @classmethod
    def _new(cls, name: str, info: ValidationInfo) -> str:
        if name in (info.context or {}).get("scorers", {}):
            raise ValueError(f"{name!r} is a scorer already; give the classifier another name")
        return name

    @field_validator("classifier")
    @classmethod
    def _there(cls, classifier: str, info: ValidationInfo) -> str:
        source = _source_of(classifier, info)
        if source.kind == "folder":
            _labels_of(Path(source.location))
        return classifier

    @field_validator("label")
    @classmethod
    def _known(cls, label: str, info: ValidationInfo) -> str:
        if "classifier" in info.data:
            source = _source_of(info.data["classifier"], info)
            # What a model of the hub calls its labels is known when it is there.
            if source.kind == "folder":
                _check_label(label, _labels_of(Path(source.location)))
        return label

    @field_validator("version")
    @classmethod
    def _of_the_hub(cls, version: str | None, info: ValidationInfo) -> str | None:
        classifier = info.data.get("classifier")
        if version is not None and classifier is not None and _source_of(classifier, info).kind == "folder":
            raise ValueError("a folder has no versions: what is in it is named by its SHA-256 (leave this out)")
        return version

    @model_validator(mode="after")
    def _resolve(self, info: ValidationInfo) -> ClassifierParams:
        self._source = _source_of(self.classifier, info)
        return self

    @computed_field  # type: ignore[prop-decorator]  # pydantic reads the property
    @cached_property
    def sha256(self) -> str | None:
        """SHA-256 of the weights in a folder; None for a model of the hub, which `version` names."""
        return hash_weights(self._source, Path(self._source.location)) if self._source.kind == "folder" else None

    def scorer(self) -> Classifier:
        """The scorer, the same one every time."""
        if self._scorer is None:
            self._scorer = Classifier(self, self._source)
        return self._scorer


class Classifier:
    """The probability of one label, by a sequence classifier that is loaded when the first text is scored."""

    unit = "probability"
    sees_terms = True
    #: Set where the suite states it, so that a classifier without it is not `Validated`.
    validation: Validation

    def __init__(self, params: ClassifierParams, source: Source) -> None:
        self.name = params.name
        self.label = params.label
        #: From which score on a text counts as having the label.
        self.threshold = params.threshold
        self._params = params
        self._source = source
        self._cut: set[str] = set()
        if params.validated is not None:
            self.validation = params.validated.validation()

    @cached_property
    def version(self) -> str:
        """Content of the weights and of the files beside them, and the label."""
        weights, files = hash_weights(self._source, self._folder), hash_files(self._folder)
        return f"weights {weights[:12]}, files {files[:12]}, label {self.label}"

    @property
    def description(self) -> str:
        """What a score means, and how many of the texts were too long for the classifier."""
        said = f"probability of the label {self.label!r}, by the classifier {self._params.classifier}"
        cut = f"; of texts longer than {self._model.max_length} tokens ({len(self._cut):,} here) it reads the beginning"
        return said + cut if self._cut else said

    def score(self, texts: Sequence[str]) -> list[float]:
        """Probabilities in [0, 1]; NaN for a text without a letter. Raises ModelError where the classifier fails."""
        # Groups share their random numbers, so that many answers are the same text.
        distinct = list(dict.fromkeys(text for text in texts if any(map(str.isalpha, text))))
        if not distinct:
            return [math.nan] * len(texts)
        probabilities, cut = self._model.probabilities(distinct)
        self._cut.update(text for text, was_cut in zip(distinct, cut, strict=True) if was_cut)
        found = dict(zip(distinct, probabilities[:, self._column].tolist(), strict=True))
        return [found.get(text, math.nan) for text in texts]

    @cached_property
    def _folder(self) -> Path:
        return local_folder(self._source, self._params.version)

    @cached_property
    def _model(self) -> Any:
        from llmaudit.engines.hf.classifier import load_classifier  # noqa: PLC0415 - torch takes seconds

        return load_classifier(self._folder)

    @cached_property
    def _column(self) -> int:
        labels: tuple[str, ...] = self._model.labels
        try:
            _check_label(self.label, labels)
        except ValueError as error:
            raise ModelError(f"{self._params.classifier}: {error}") from None
        return labels.index(self.label)


def _source_of(classifier: str, info: ValidationInfo) -> Source:
    """Say where a classifier is to be had. Raises ValueError for what is neither a folder nor a hub id."""
    base: Path = (info.context or {}).get("folder", Path())
    try:
        path = base / Path(classifier).expanduser()
    except RuntimeError:  # ~somebody who has no home here
        path = base / classifier
    if path.is_dir():
        return Source("folder", str(path))
    if not classifier.startswith((".", "/", "~")) and classifier.count("/") == 1 and all(classifier.split("/")):
        return Source("hub", classifier)
    raise ValueError(
        f"no folder {classifier!r} (looked from {base.resolve()}), and no hub id either, which is owner/name"
    )


def _labels_of(folder: Path) -> list[str]:
    """Return the labels of a classifier, without loading it. Raises ValueError for a folder that holds none."""
    try:
        check_folder(folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ModelError as error:
        raise ValueError(str(error)) from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: config.json does not read ({error})") from None
    if not isinstance(config, dict):
        raise ValueError(f"{folder}: config.json is no mapping")
    heads = config.get("architectures") or []
    if heads and not str(heads[0]).endswith("ForSequenceClassification"):
        raise ValueError(f"{folder}: {heads[0]} is no sequence classifier")
    names = config.get("id2label")
    # What transformers calls labels that have no names.
    return [str(name) for name in names.values()] if isinstance(names, dict) and names else ["LABEL_0", "LABEL_1"]


def _check_label(label: str, labels: Sequence[str]) -> None:
    if label not in labels:
        folded = {name.casefold(): name for name in labels}
        close = difflib.get_close_matches(label.casefold(), folded, n=1)
        hint = f"; did you mean {folded[close[0]]!r}?" if close else ""
        raise ValueError(f"unknown label {label!r}{hint} (the classifier has: {', '.join(labels)})")
