"""Runs side by side: what was measured alike, what differs, what cannot be told apart, and what it costs."""

from __future__ import annotations

from llmaudit.comparison.compare import Comparison, compare_runs
from llmaudit.comparison.loading import load_runs

__all__ = ["Comparison", "compare_runs", "load_runs"]
