"""Where the numbers of a run come from, as rows of (name, value)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from llmaudit.report.format import NOTHING, duration, moment, number
from llmaudit.run import Run
from llmaudit.types import ModelInfo

__all__ = ["environment_rows", "model_rows", "session_rows"]

_MODEL_NAMES = {
    "sha256": "SHA-256 of the weights",
    "dtype": "data type",
    "name": "name given",
    "resolved": "stands for",
    "weight_bytes": "bytes of the weights",
}


def model_rows(model: ModelInfo | None) -> list[tuple[str, str]]:
    """List what is known of the model."""
    if model is None:
        return [("model", "none was loaded")]
    known = [field.name for field in fields(model) if field.name != "facts"]
    rows = [(_MODEL_NAMES.get(name, name), _text(getattr(model, name))) for name in known]
    return [*rows, *((str(name), _text(value)) for name, value in model.facts.items())]


def session_rows(run: Run) -> list[tuple[str, str]]:
    """List what identifies the session."""
    timings = run.timings.values()
    return [
        ("run id", run.run_id),
        ("started", moment(run.started)),
        ("finished", moment(run.finished)),
        ("time in audits", duration(sum(timing.seconds for timing in timings))),
        ("seed", str(run.seed)),
        ("complete", "yes" if run.complete else "no"),
        ("smoke run", "yes" if run.smoke else "no"),
        ("checks planned", number(len(run.plan))),
        ("llmaudit", run.llmaudit_version),
        ("schema of run.json", str(run.schema_version)),
    ]


def environment_rows(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Flatten the environment, however deep: `packages.torch`."""
    return list(_flatten(environment, ""))


def _flatten(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and (value or not name):
        for key, item in value.items():
            yield from _flatten(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping | list | tuple) for item in value):
        for place, item in enumerate(value, start=1):
            yield from _flatten(item, f"{name}.{place}")
    elif isinstance(value, list | tuple):
        # A command line is a list whose items must not run into each other.
        yield name, " ".join(_text(item) for item in value) or NOTHING
    else:
        yield name, _text(value)


def _text(value: object) -> str:
    if value is None or value in ("", {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else str(value)
