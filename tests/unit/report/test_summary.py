from __future__ import annotations

import re
from dataclasses import replace

from llmaudit.report import summary_markdown
from llmaudit.report.summary import escape_markdown
from llmaudit.run import Run


def test_summary_lists_failures_first(run: Run) -> None:
    text = summary_markdown(run)
    assert text.startswith("# Audit of smollm2-135m-instruct\n")
    words = re.findall(r"^\| \S+ (\w+) \|", text, flags=re.MULTILINE)
    assert words == ["failed", "error", *["inconclusive"] * 2, "waived", *["passed"] * 2, "measured", "skipped"]
    assert "report.html" in text
    assert "Note: The git tree had local changes." in text


def test_every_row_has_the_cells_of_the_head(run: Run) -> None:
    checks, *_ = summary_markdown(run).split("\n## ")
    rows = [line for line in checks.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert any(r"\`pytest -v\` \| log" in row for row in rows)
    assert any(r"\<b\>accepted" in row for row in rows)


def test_markdown_is_escaped() -> None:
    assert escape_markdown("a|b\n*c* [x](y) <i> `d` #e") == r"a\|b \*c\* \[x\](y) \<i\> \`d\` \#e"


def test_nothing_that_the_model_wrote_is_in_it(run: Run) -> None:
    assert "evil" not in summary_markdown(run)


def test_an_empty_run(run: Run) -> None:
    text = summary_markdown(replace(run, model=None, records=(), audits=(), notes=()))
    assert "# Audit of no model" in text
    assert "No check was run." in text
    assert "|" not in text


def test_banners(run: Run) -> None:
    assert "> Smoke run: nothing is judged." in summary_markdown(replace(run, smoke=True))
    assert "> Incomplete run: 9 of 9 planned" in summary_markdown(replace(run, complete=False))
