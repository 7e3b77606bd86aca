"""The report as one HTML page, which needs no script and asks no other machine for anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from llmaudit.audit import Table
from llmaudit.report import against, provenance, words
from llmaudit.report import format as formats
from llmaudit.report.figures import Drawing, caption, numbers
from llmaudit.report.known_issues import known_issues_table
from llmaudit.report.outline import EstimateRow, Section, check_rows
from llmaudit.report.references import references
from llmaudit.report.together import attempts_sentence, attempts_table, families_table
from llmaudit.run import Run
from llmaudit.stats.verdicts import MIN_CLUSTERS

__all__ = ["page_environment", "render_html"]

#: Prompts that the page shows of one audit; run.json holds them all.
_PROMPTS = 200

#: Estimates beyond this number are folded unless a check judges them.
_ESTIMATES = 30

#: The tables below that of the checks.
_TOGETHER = (known_issues_table, families_table, attempts_table)


def render_html(run: Run, parts: Sequence[Section], drawings: Mapping[str, Sequence[Drawing]]) -> str:
    """Return the page. `drawings` holds the figures of each section by its anchor."""
    rows = check_rows(parts)
    compared = against.against(run)
    return (
        page_environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            sections=parts,
            checks=rows,
            compared=compared,
            drawings=drawings,
            failing=[row for row in rows if row.fails_run],
            together=[table for make in _TOGETHER if (table := make(run)) is not None],
            attempts=attempts_sentence(run),
            references=references(run),
            prompts_shown=_PROMPTS,
        )
    )


@cache
def page_environment() -> Environment:
    """Return what renders the templates of every page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        # Whatever a model wrote is text here, never markup.
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for module in (against, formats, provenance, words):
        environment.globals.update({name: getattr(module, name) for name in module.__all__})
    environment.globals.update(
        caption=caption, numbers=numbers, numeric=_numeric, split=_split, min_clusters=MIN_CLUSTERS
    )
    environment.filters["breakable"] = _breakable
    environment.filters["svg"] = Markup  # drawn by figures.py, whose text parts are escaped there
    return environment


def _breakable(name: str) -> Markup:
    """Let a long name break where a person would break it."""
    return Markup("<wbr>").join(re.split("(?<=[._-])", formats.printable(name)))


def _finalize(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    if value is None:
        return formats.NOTHING
    return formats.printable(value) if isinstance(value, str) else value


def _numeric(table: Table) -> list[bool]:
    """Say which columns hold numbers, to be set flush right."""
    columns = [[row[place] for row in table.rows] for place in range(len(table.columns))]
    return [
        all(isinstance(cell, int | float | None) for cell in column) and any(cell is not None for cell in column)
        for column in columns
    ]


def _split(rows: Sequence[EstimateRow]) -> tuple[list[EstimateRow], list[EstimateRow]]:
    """Return the estimates to show at once and those to fold: where there are many, what no check judges is folded."""
    if len(rows) <= _ESTIMATES:
        return list(rows), []
    return [row for row in rows if row.check], [row for row in rows if not row.check]
