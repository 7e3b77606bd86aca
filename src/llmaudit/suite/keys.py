"""Which keys a mapping of the suite language may have, read off a JSON Schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llmaudit.suite.problems import Steps

__all__ = ["known_keys"]

Schema = Mapping[str, Any]


def known_keys(schema: Schema, steps: Steps) -> list[str]:
    """Return the keys that the mapping at the end of some steps may have, in the order of their declaration."""
    definitions = schema.get("$defs", {})
    spots = _alternatives([schema], definitions)
    for step in steps:
        spots = _alternatives(_inside(spots, step), definitions)
    return list(dict.fromkeys(name for spot in spots for name in spot.get("properties", {})))


def _alternatives(schemas: Iterable[Schema], definitions: Schema) -> list[Schema]:
    """Follow references and unions down to schemas that describe a value themselves."""
    found: list[Schema] = []
    for schema in schemas:
        found.append(schema)
        branches = [branch for word in ("anyOf", "oneOf", "allOf") for branch in schema.get(word, ())]
        if "$ref" in schema:
            branches.append(definitions[schema["$ref"].rpartition("/")[2]])
        found += _alternatives(branches, definitions)
    return found


def _inside(schemas: Iterable[Schema], step: str | int) -> list[Schema]:
    """Return what the schemas say of the value under a key or at an index."""
    found: list[Any] = []
    for schema in schemas:
        if isinstance(step, int):
            found += [*schema.get("prefixItems", ())[step : step + 1], schema.get("items")]
        elif step in schema.get("properties", {}):
            found.append(schema["properties"][step])
        else:
            found += [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    return [schema for schema in found if isinstance(schema, Mapping)]
