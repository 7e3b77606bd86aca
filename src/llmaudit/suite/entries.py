"""From one named entry of a document to an audit that is ready to run."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llmaudit.audit import Audit, AuditParams, CheckParams, Expected
from llmaudit.scorers.base import Scorer
from llmaudit.suite.document import Document
from llmaudit.suite.hints import unknown
from llmaudit.suite.looks import Look
from llmaudit.suite.margins import Margins, unusable_margin, with_margins
from llmaudit.suite.messages import absence, message
from llmaudit.suite.model import AuditEntry, CheckEntry
from llmaudit.suite.problems import Problem, Steps, shown
from llmaudit.suite.validation import problems_of
from llmaudit.suite.waivers import expiry

__all__ = ["EntryReader", "Surroundings"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an audit needs that its suite does not say."""

    kinds: Mapping[str, type[Audit[Any]]]
    scorers: Mapping[str, Scorer]
    seed: int
    samples: int | None
    reference: str | None
    """The model that kinds which compare models hold the others against."""
    today: datetime.date
    folder: Path
    """Where the suite's file stands: what its relative paths start from."""
    look: Look | None = None
    """Which look this is, of a suite that declares some."""


class EntryReader:
    """Reads one audit of a document and notes every mistake in `problems`."""

    def __init__(self, document: Document, name: str, surroundings: Surroundings, margins: Margins) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._name = name
        self._surroundings = surroundings
        self._margins = margins
        self._reasons: dict[str, str] = {}
        self._steps: Steps = ("audits", name)
        self._entry = document.entry(self._steps)
        self._context = {"scorers": surroundings.scorers, "folder": surroundings.folder}

    def read(self) -> AuditEntry | None:
        """Return the audit, or None if there are problems."""
        data = self._entry.node.data
        if not isinstance(data, dict):
            self._note(f"expected a mapping, got {shown(data)}")
            return None
        # A key with nothing after it is an empty mapping to its author.
        data = {**data, "checks": {}} if "checks" in data and data["checks"] is None else data
        data, self._reasons = with_margins(data, self._margins)
        kind = self._kind(data)
        audit = self._audit(kind, data) if kind else self._kindless(data)
        self._expiry(self._steps)
        for metric in _checks(data):
            self._expiry((*self._steps, "checks", metric))
        if audit is not None and not self.problems:
            self._unusable_margins(audit)
        if audit is None or self.problems:
            return None
        checks = tuple(self._check(audit, metric, params) for metric, params in audit.params.checks.items())
        return AuditEntry(self._name, audit, checks, self._entry.key)

    def _kind(self, data: Mapping[str, Any]) -> type[Audit[Any]] | None:
        kinds = self._surroundings.kinds
        kind = data.get("kind")
        if "kind" not in data:
            self._note(f"{absence('kind')} (known kinds: {', '.join(kinds)})")
        elif isinstance(kind, str) and kind not in kinds:
            self._note(unknown("kind", kind, kinds), "kind")
        elif not isinstance(kind, str):
            self._note(f"expected a string, got {shown(kind)}", "kind")
        return kinds.get(kind) if isinstance(kind, str) else None

    def _kindless(self, data: Mapping[str, Any]) -> Audit[Any] | None:
        """Check at least what an audit of no known kind shares with every other."""
        shared = {key: value for key, value in data.items() if key in AuditParams.model_fields}
        self._params(AuditParams, {**shared, "kind": "?"})
        return None

    def _audit(self, kind: type[Audit[Any]], data: Mapping[str, Any]) -> Audit[Any] | None:
        if self._surroundings.reference is not None and kind.compares_variants:
            data = {**data, "reference": {"model": self._surroundings.reference}}
        params = self._params(kind.Params, data)
        params = self._without_checks(kind.Params, data) if params is None else self._resampled(params, data)
        if params is None:
            return None
        try:
            audit = kind(params, scorers=self._surroundings.scorers, seed=self._surroundings.seed)
            metrics = audit.offered
        except ValueError as error:
            self.problems.append(Problem(self._entry.key, self._steps, str(error)))
            return None
        self._metrics(metrics, _checks(data))
        return audit

    def _params(self, model: type[AuditParams], data: Mapping[str, Any]) -> AuditParams | None:
        try:
            return model.model_validate(data, context=self._context)
        except ValidationError as error:
            self.problems += problems_of(error, self._document, self._steps, model)
            return None

    def _resampled(self, params: AuditParams, data: Mapping[str, Any]) -> AuditParams:
        model, look = type(params), self._surroundings.look
        samples = self._surroundings.samples
        if look is not None and not look.last:
            samples = look.samples(getattr(params, "samples", 1))
        if samples is None or "samples" not in model.model_fields:
            return params
        try:
            return model.model_validate({**data, "samples": samples}, context=self._context)
        except ValidationError as error:
            own = [details for details in error.errors() if details["loc"] == ("samples",)]
        if own:
            self._note(f"with samples set to {samples}: {message(own[0])}")
        # What a kind says of its parameters together is about the file, such as that one greedy answer is enough;
        # a number given for a whole session may be wasteful here without being wrong.
        return params.model_copy(update={"samples": samples})

    def _without_checks(self, model: type[AuditParams], data: Mapping[str, Any]) -> AuditParams | None:
        """Read the parameters with a check that is right, so that metrics can be compared though a limit is wrong."""
        rest = {key: value for key, value in data.items() if key not in {"skip", "xfail"}}
        checks = {"any": {"role": "exploratory"}}
        try:
            return model.model_validate({**rest, "checks": checks}, context=self._context)
        except ValidationError:
            return None

    def _metrics(self, metrics: Collection[str], checks: Collection[str]) -> None:
        for metric in checks:
            if metric not in metrics:
                steps = (*self._steps, "checks", metric)
                words = unknown("metric", metric, metrics, _offered(metric, metrics))
                self.problems.append(Problem(self._document.key_place(steps), steps, words))

    def _unusable_margins(self, audit: Audit[Any]) -> None:
        for metric, params in audit.params.checks.items():
            if (words := unusable_margin(params, audit.offered[metric])) is not None:
                suites = metric in self._reasons
                bare = metric.partition(".")[0]
                steps: Steps = ("margins", bare, "margin") if suites else (*self._steps, "checks", metric, "margin")
                words = f"{words} ({self._name}::{metric})" if suites else words
                self.problems.append(Problem(self._document.place(steps), steps, words))

    def _expiry(self, steps: Steps) -> None:
        """Note a waiver that has run out; one that cannot be read is the model's to refuse."""
        try:
            expires = self._document.entry((*steps, "xfail", "expires"))
            waiver = Expected.model_validate({"reason": "any", "expires": expires.node.data})
        except (KeyError, ValidationError):
            return
        if words := expiry(waiver, self._surroundings.today):
            self.problems.append(Problem(expires.value, (*steps, "xfail", "expires"), words))

    def _check(self, audit: Audit[Any], metric: str, params: CheckParams) -> CheckEntry:
        place = self._document.key_place((*self._steps, "checks", metric))
        return CheckEntry(metric, params, place, _content_hash(audit, metric, params), self._reasons.get(metric, ""))

    def _note(self, words: str, *more: str) -> None:
        steps = (*self._steps, *more)
        entry = self._document.entry(steps)
        if not entry.node.broken:
            self.problems.append(Problem(entry.value, steps, words))


def _checks(data: Mapping[str, Any]) -> Collection[str]:
    checks = data.get("checks")
    return checks if isinstance(checks, dict) else ()


def _offered(metric: str, metrics: Collection[str]) -> list[str]:
    """Return the names worth listing: the facets of a metric that has no such facet, else the bare names."""
    bare = metric.partition(".")[0]
    facets = [name for name in metrics if name.partition(".")[0] == bare]
    return facets or [name for name in metrics if "." not in name or name.partition(".")[0] not in metrics]


def _content_hash(audit: Audit[Any], metric: str, check: CheckParams) -> str:
    # A question, a skip or a waiver changes nothing about what is measured or how it is judged.
    params = audit.params.model_dump(mode="json", exclude={"kind", "question", "checks", "skip", "xfail"})
    limit = check.model_dump(mode="json", include={"max", "min", "margin"})
    content = {"kind": audit.kind, "params": params, "metric": metric, "limit": limit}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
