"""The folder for what can be made again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder", "store_path"]


def cache_folder() -> Path:
    """Return $LLMAUDIT_CACHE, else the folder `llmaudit` in the user's cache folder."""
    if given := os.environ.get("LLMAUDIT_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmaudit"


def store_path() -> Path:
    """Return the file of the store of responses."""
    return cache_folder() / "responses.sqlite3"
