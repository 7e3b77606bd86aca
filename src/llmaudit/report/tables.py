"""The estimates of an audit as CSV, for analysis, and as LaTeX, for papers."""

from __future__ import annotations

import csv
import io
from dataclasses import fields

from llmaudit.records import EstimateRecord
from llmaudit.report.format import NOTHING, interval, number, p_value, percent, printable
from llmaudit.report.outline import EstimateRow, Section

__all__ = ["escape_tex", "estimates_csv", "estimates_tex"]

#: Mappings have no place in a flat table; run.json holds them.
_NESTED = {"cluster_values", "details"}

_COLUMNS = [field.name for field in fields(EstimateRecord) if field.name not in _NESTED]

_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "#": r"\#",
        "^": r"\textasciicircum{}",
        "_": r"\_",
        "~": r"\textasciitilde{}",
        "%": r"\%",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
        "−": "$-$",
        "±": r"$\pm$",
        NOTHING: "--",
    }
)


def estimates_csv(section: Section) -> str:
    """Return every estimate of an audit with all its digits, one row each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["suite", "audit", "kind", *_COLUMNS, "p_adjusted", "adjustment"])
    audit = section.audit
    for row in section.estimates:
        values = [getattr(row.estimate, column) for column in _COLUMNS]
        adjusted = (row.check.p_adjusted, row.check.adjustment) if row.check else (None, "")
        writer.writerow([audit.suite, audit.audit, audit.kind, *values, *adjusted])
    return text.getvalue()


def estimates_tex(section: Section) -> str:
    """Return every estimate of an audit as a table in the style of booktabs."""
    lines = [
        r"% Needs \usepackage{booktabs}. Metrics without a p-value were not tested.",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_caption(section)}}}",
        rf"  \label{{tab:{section.anchor}}}",
        r"  \begin{tabular}{lrrrrrrr}",
        r"    \toprule",
        r"    Metric & Estimate & $n$ & Clusters & Missing & $p$ & Adjusted $p$ & $g$ \\",
        r"    \midrule",
        *(f"    {_tex_row(row)}" for row in section.estimates),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape_tex(text: str) -> str:
    """Return text that LaTeX prints as it stands, on one line."""
    return " ".join(printable(text).split()).translate(_TEX)


def _caption(section: Section) -> str:
    found = dict.fromkeys(
        f"{percent(row.estimate.level)} {row.estimate.method}" for row in section.estimates if row.estimate.level
    )
    intervals = f" Intervals: {'; '.join(found)}." if found else ""
    return escape_tex(f"{section.audit.suite}, {section.audit.audit}: {section.audit.question}{intervals}")


def _tex_row(row: EstimateRow) -> str:
    estimate = row.estimate
    cells = [
        estimate.metric,
        interval(estimate.value, estimate.low, estimate.high),
        number(estimate.n),
        number(estimate.clusters),
        number(estimate.missing),
        p_value(estimate.p_value),
        p_value(row.check.p_adjusted if row.check else None),
        number(estimate.effect_size),
    ]
    return " & ".join(map(escape_tex, cells)) + r" \\"
