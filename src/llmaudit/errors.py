"""The exceptions that llmaudit raises, as one tree.

    LLMAuditError
    ├── SuiteError            a suite file cannot be used; carries every mistake with its place
    ├── ModelError            a model cannot be named, found, trusted or loaded
    ├── EngineError           an engine cannot answer
    │   └── CapabilityError   an engine was asked for what it does not offer
    ├── AuditError            a kind of audit breaks its own promises
    ├── StoreError            the store of responses cannot be used
    ├── RunError              a stored run is missing, damaged or of another schema
    └── ReportError           a report cannot be written

Each message says what is wrong, where, and what to do about it; none needs a traceback to be understood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AuditError",
    "CapabilityError",
    "EngineError",
    "LLMAuditError",
    "ModelError",
    "ReportError",
    "RunError",
    "StoreError",
    "SuiteError",
]


class LLMAuditError(Exception):
    """The root of everything that llmaudit raises on purpose."""


class SuiteError(LLMAuditError):
    """A suite cannot be used. `problems` holds one `file:line:column: message` each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class ModelError(LLMAuditError):
    """A model cannot be named, found, trusted or loaded."""


class EngineError(LLMAuditError):
    """An engine cannot answer."""


class CapabilityError(EngineError):
    """An engine was asked for something that it does not offer."""


class AuditError(LLMAuditError):
    """A kind of audit breaks its own promises."""


class StoreError(LLMAuditError):
    """The store of responses cannot be used."""


class RunError(LLMAuditError):
    """A stored run is missing, damaged or of another schema."""


class ReportError(LLMAuditError):
    """A report cannot be written."""
