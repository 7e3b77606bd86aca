"""Suites that read the public sets, as text for `llmaudit init --with-public-data`."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["public_suites"]

_SUFFIX = ".audit.yaml"


def public_suites() -> dict[str, str]:
    """Return the suites for CrowS-Pairs, StereoSet, WinoBias and BBQ: file name -> text."""
    templates = files("llmaudit.datasets").joinpath("templates")
    found = [entry for entry in templates.iterdir() if entry.name.endswith(_SUFFIX)]
    return {entry.name: entry.read_text(encoding="utf-8") for entry in sorted(found, key=lambda entry: entry.name)}
