"""The report of a comparison of runs: a page, Markdown, CSV and figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from llmaudit.comparison.compare import Comparison
from llmaudit.comparison.differences import ALPHA
from llmaudit.exhibits import Table
from llmaudit.records import EstimateRecord
from llmaudit.report import comparison_tables as tables
from llmaudit.report.figures import Drawing, draw
from llmaudit.report.folder import figure_files, write_files
from llmaudit.report.format import number
from llmaudit.report.html import page_environment
from llmaudit.report.summary import escape_markdown

__all__ = ["comparison_html", "comparison_markdown", "write_comparison"]

#: Mappings have no place in a flat table.
_NESTED = {"cluster_values", "details"}
_COLUMNS = [field.name for field in fields(EstimateRecord) if field.name not in _NESTED]
_PAIR = ("value", "low", "high", "method", "clusters", "p_value", "p_adjusted", "exact", "problem")


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write comparison.html, comparison.md, tables and figures into a folder and return the path of the page.

    A pure function of the comparison: the same one gives the same bytes. Raises ReportError where a file cannot be
    written.
    """
    drawings = [draw(figure, f"tradeoff.{place}") for place, figure in enumerate(comparison.scatters, 1)]
    files: dict[str, str | bytes] = {
        "tables/tradeoff.csv": _tradeoff_csv(comparison),
        "tables/estimates.csv": _estimates_csv(comparison),
        "tables/differences.csv": _differences_csv(comparison),
        **figure_files(drawings),
        "comparison.md": comparison_markdown(comparison),
        # Last, so that a page that can be opened is complete.
        "comparison.html": comparison_html(comparison, drawings),
    }
    write_files(files, folder, "compare again: no model is asked")
    return folder / "comparison.html"


def comparison_html(comparison: Comparison, drawings: Sequence[Drawing]) -> str:
    """Return the page, which needs no script and asks no other machine for anything."""
    return (
        page_environment()
        .get_template("comparison.html.j2")
        .render(comparison=comparison, tables=tables, drawings=drawings, alpha=number(ALPHA))
    )


def comparison_markdown(comparison: Comparison) -> str:
    """Return what was found. Nothing that a model wrote is in it."""
    differing = tables.differing(comparison)
    unlike = tables.unlike(comparison)
    blocks = [
        f"# Comparison of {number(len(comparison.runs))} runs",
        *(f"> {escape_markdown(remark)}" for remark in comparison.remarks),
        _markdown(tables.tradeoff(comparison)),
        _markdown(tables.pairs(comparison)),
        _markdown(differing) if differing else "In no metric are any two runs told apart.",
        *([_markdown(unlike)] if unlike else []),
        *(_markdown(tables.estimates(comparison, metrics)) for metrics in tables.audits(comparison)),
        "Everything else: `comparison.html` (paired differences, figures, methods), `tables/` (CSV).",
    ]
    return "\n\n".join(blocks) + "\n"


def _markdown(table: Table) -> str:
    cells = [[_cell(cell) for cell in row] for row in (table.columns, *table.rows)]
    head, *rows = (f"| {' | '.join(row)} |" for row in cells)
    lines = [f"## {escape_markdown(table.title)}", "", head, f"|{' --- |' * len(table.columns)}", *rows]
    return "\n".join([*lines, "", escape_markdown(table.note)] if table.note else lines)


def _cell(cell: str | float | None) -> str:
    return escape_markdown(cell if isinstance(cell, str) else number(cell))


def _tradeoff_csv(comparison: Comparison) -> str:
    head = ("run", "run_id", "parameters", "weights_gib", "tokens_per_second", "passed", "failed", "inconclusive")
    parts = zip(comparison.labels, comparison.runs, comparison.costs, comparison.passed, strict=True)
    rows = (
        (
            label, run.run_id, cost.parameters, cost.gib, cost.tokens_per_second, passed.passed, passed.failed,
            passed.inconclusive,
        )
        for label, run, cost, passed in parts
    )  # fmt: skip
    return _csv(head, rows)


def _estimates_csv(comparison: Comparison) -> str:
    rows = [
        (
            metric.audit.suite, metric.audit.audit, metric.audit.kind, label, run.run_id,
            record.verdict if record else "", *(getattr(estimate, column) for column in _COLUMNS),
        )
        for metric in comparison.metrics
        for label, run, record, estimate in zip(
            comparison.labels, comparison.runs, metric.records, metric.estimates, strict=True
        )
        if estimate is not None
    ]  # fmt: skip
    return _csv(("suite", "audit", "kind", "run", "run_id", "verdict", *_COLUMNS), rows)


def _differences_csv(comparison: Comparison) -> str:
    rows = [
        (
            metric.audit.suite, metric.audit.audit, metric.metric, *(comparison.labels[run] for run in each.pair),
            *(getattr(each, column) for column in _PAIR), each.apart,
            "" if each.better is None else comparison.labels[each.better],
        )
        for metric in comparison.metrics
        for each in metric.differences
    ]  # fmt: skip
    return _csv(("suite", "audit", "metric", "first", "second", *_PAIR, "told_apart", "better"), rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
