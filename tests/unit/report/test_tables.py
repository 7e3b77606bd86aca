from __future__ import annotations

import csv
import io
from dataclasses import replace

from llmaudit.report.outline import sections
from llmaudit.report.tables import escape_tex, estimates_csv, estimates_tex
from llmaudit.run import Run


def test_csv_holds_every_digit(run: Run) -> None:
    section = sections(run)[0]
    rows = list(csv.DictReader(io.StringIO(estimates_csv(section))))
    assert [row["metric"] for row in rows] == [estimate.metric for estimate in section.audit.estimates]
    assert float(rows[0]["low"]) == section.audit.estimates[0].low
    assert rows[0]["p_adjusted"] == "0.0016"
    assert rows[0]["adjustment"] == "Holm over 4"
    assert rows[6]["value"] == ""


def test_tex_is_escaped() -> None:
    assert escape_tex("a_b & 5% #1 $x$ {y} ~ ^ \\n\nz") == (
        r"a\_b \& 5\% \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}n z"
    )


def test_tex_table(run: Run) -> None:
    section = sections(run)[0]
    audit = replace(section.audit, question="100% of $ {x}?\n% comment")
    text = estimates_tex(replace(section, audit=audit))
    assert r"100\% of \$ \{x\}? \% comment" in text
    assert r"sentiment\_gap & 0.183 [0.142, 0.225] & 1,200 & 24 & 14 & \textless{} 0.001 & 0.002 & 1.11 \\" in text
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == len(section.estimates)
    assert all(line.replace(r"\&", "").count("&") == 7 for line in body)
    assert "Intervals: 90 \\% worst of facets, simultaneous t (Bonferroni over 3); 90 \\% t on cluster means." in text
