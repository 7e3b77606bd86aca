"""What a project says about its models: the table [tool.llmaudit.models] of its pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from llmaudit.errors import ModelError

__all__ = ["project_aliases"]


def project_aliases(root: Path) -> Mapping[str, str]:
    """Return the project's own names for models. Raises ModelError for a table that holds anything else."""
    file = root / "pyproject.toml"
    if not file.is_file():
        return {}
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("llmaudit", {}).get("models", {})
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{file}: {error}") from None
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise ModelError(f"{file}: [tool.llmaudit.models] holds names and what they stand for, both text")
    return table
