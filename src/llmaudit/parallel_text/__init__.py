"""The same text in several languages, from the files of public sets."""

from __future__ import annotations

from llmaudit.parallel_text.data import ParallelData
from llmaudit.parallel_text.text import ParallelText

__all__ = ["ParallelData", "ParallelText"]
