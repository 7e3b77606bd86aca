"""What a suite is: as written in a file, and as loaded from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from llmaudit.audit import Audit, CheckParams, MarginParams, Name, Spec
from llmaudit.suite.looks import Look, LooksParams
from llmaudit.suite.problems import Place

__all__ = ["AuditEntry", "CheckEntry", "Suite", "SuiteFile"]


class SuiteFile(Spec):
    """A suite of audits for llmaudit."""

    suite: str = Field(min_length=1)
    """The name of the suite, for people."""
    description: str = ""
    """What the suite asks, and what it cannot tell."""
    margins: dict[Name, MarginParams] = Field(default={})
    """Metric -> how much worse than a baseline it may be in every check that has no margin of its own; facets too."""
    looks: LooksParams | None = None
    """How often results are looked at while samples are added; without it they are looked at once."""
    audits: dict[Name, Any] = Field(min_length=1)
    """Audit name -> one experiment: a kind, its parameters and its checks."""


@dataclass(frozen=True, slots=True)
class CheckEntry:
    """One check of an audit."""

    metric: str
    params: CheckParams
    place: Place
    content_hash: str
    """What the verdict depends on: kind, parameters, metric and limit. Changes when any of them does."""
    margin_why: str = ""
    """The reason for the margin, where it is the suite's and not the check's own."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One named audit of a suite, ready to run."""

    name: str
    audit: Audit[Any]
    checks: tuple[CheckEntry, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Suite:
    """One loaded file."""

    name: str
    description: str
    path: Path
    sha256: str
    """Of the bytes of the file."""
    audits: tuple[AuditEntry, ...]
    look: Look | None = None
    """Which of the declared looks this is; None where the suite declares none."""
