"""A comparison as a browser shows it, with JavaScript off."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from llmaudit.comparison import compare_runs
from llmaudit.report import write_comparison

pytestmark = pytest.mark.browser

Browse = Callable[..., subprocess.CompletedProcess[str]]

_RUN = Path(__file__).parents[1] / "unit" / "comparison" / "conftest.py"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("compared_runs", _RUN)
    assert spec is not None
    assert spec.loader is not None
    runs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runs)
    found = [
        runs.make_run(name, runs.audit([runs.estimate("gap", [shift + 0.1 * place for place in range(12)])]))
        for name, shift in (("small", 0.0), ("large", 0.5))
    ]
    sized = [
        replace(run, model=replace(run.model, weight_bytes=size * 2**30))
        for run, size in zip(found, (1, 8), strict=True)
    ]
    return write_comparison(compare_runs(sized), tmp_path_factory.mktemp("comparison"))


def test_the_page_is_complete_and_asks_for_nothing(browse: Browse, page: Path) -> None:
    done = browse(page, "--dump-dom")
    headings = re.findall(r"<h[12]>([^<]*)", done.stdout)
    assert headings == [
        "Comparison of 2 runs", "Trade-off", "Where the runs differ", "Every metric", "Methods and limitations", "Runs",
    ]  # fmt: skip
    assert done.stdout.count("<svg") == 4
    assert not re.search("CONSOLE|Content.Security.Policy|Refused to|ERR_|net_error", done.stderr)
