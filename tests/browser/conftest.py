"""A report in a file, and a browser without JavaScript to open it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from llmaudit.report import write_report

_RUN = Path(__file__).parents[1] / "unit" / "report" / "conftest.py"

_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
]  # fmt: skip

#: The content setting that switches JavaScript off. `--blink-settings=scriptEnabled=false` would switch off the
#: script by which headless Chromium itself carries out --dump-dom, --screenshot and --print-to-pdf.
_NO_SCRIPT = {"profile": {"default_content_setting_values": {"javascript": 2}}}

Browse = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("report_runs", _RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return write_report(module.build_run(), tmp_path_factory.mktemp("report"))


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Open a file in Chromium with further flags; JavaScript is off."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no chromium: apt-get install chromium")
    profile = tmp_path / "profile"
    (profile / "Default").mkdir(parents=True)
    (profile / "Default" / "Preferences").write_text(json.dumps(_NO_SCRIPT), encoding="utf-8")

    def run(page: Path, *flags: str) -> subprocess.CompletedProcess[str]:
        command = [browser, *_FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=True)

    return run
