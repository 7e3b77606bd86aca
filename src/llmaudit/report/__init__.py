"""The report: a pure function of a run, as HTML, Markdown, CSV, LaTeX, SVG and PDF."""

from __future__ import annotations

from llmaudit.report.comparison import write_comparison
from llmaudit.report.folder import write_report
from llmaudit.report.summary import summary_markdown

__all__ = ["summary_markdown", "write_comparison", "write_report"]
