"""The JSON Schema of a suite file, by which editors complete and check."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from llmaudit.audit import Audit
from llmaudit.suite.model import SuiteFile

__all__ = ["json_schema"]


def json_schema(kinds: Mapping[str, type[Audit[Any]]]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a suite that may use these kinds."""
    names = sorted(kinds)
    references, shared = models_json_schema([(kinds[name].Params, "validation") for name in names])
    # The kind decides which keys are right; a plain union of all kinds would complain about every one of them at once.
    audit = {
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": {
                "description": "Which experiment this is.",
                "oneOf": [{"const": name, "description": _question(kinds[name])} for name in names],
            }
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": references[kinds[name].Params, "validation"],
            }
            for name in names
        ],
    }
    head = SuiteFile.model_json_schema()
    definitions = {**head.pop("$defs", {}), **shared.get("$defs", {})}
    schema: dict[str, Any] = _with_plain_names({**head, "$defs": definitions})
    schema["properties"]["audits"]["additionalProperties"] = audit
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _question(kind: type[Audit[Any]]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def _with_plain_names(schema: Any) -> Any:
    """Refuse the keys that match no pattern: pydantic's schemas ignore them, its models do not."""
    if isinstance(schema, list):
        return [_with_plain_names(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _with_plain_names(value) for key, value in schema.items()}
    if "patternProperties" in plain:
        ((pattern, values),) = plain.pop("patternProperties").items()
        plain |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
    return plain
