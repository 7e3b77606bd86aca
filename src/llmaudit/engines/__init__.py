"""Engines: whatever answers requests."""

from __future__ import annotations

from llmaudit.engines.base import Engine, EngineOptions
from llmaudit.engines.fake import FakeEngine

__all__ = ["Engine", "EngineOptions", "FakeEngine"]
