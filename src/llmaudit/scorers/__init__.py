"""Scorers: texts in, numbers out."""

from __future__ import annotations

from llmaudit.scorers.base import Scorer

__all__ = ["Scorer"]
