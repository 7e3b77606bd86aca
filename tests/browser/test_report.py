"""The report as a browser shows it, with JavaScript off."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

Browse = Callable[..., subprocess.CompletedProcess[str]]


def complaints(stderr: str) -> list[str]:
    """Return what the page, and not the browser's surroundings, made Chromium complain about."""
    signs = re.compile("CONSOLE|Content.Security.Policy|Refused to|ERR_|net_error", re.IGNORECASE)
    return [line for line in stderr.splitlines() if signs.search(line)]


def test_javascript_is_off(browse: Browse, tmp_path: Path) -> None:
    page = tmp_path / "script.html"
    page.write_text("<p>still</p><script>document.querySelector('p').textContent = 'moved'</script>")
    assert "<p>still</p>" in browse(page, "--dump-dom").stdout


def test_a_violation_would_be_noticed(browse: Browse, tmp_path: Path) -> None:
    page = tmp_path / "violation.html"
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\">"
    page.write_text(f"{policy}<img src='missing.png'>")
    assert complaints(browse(page, "--dump-dom").stderr)


def test_the_page_is_complete_and_asks_for_nothing(browse: Browse, report: Path) -> None:
    done = browse(report, "--dump-dom")
    headings = re.findall(r"<h([1-4])>(?:<bdi>)?([^<]*)", done.stdout)
    for heading in [
        ("1", "smollm2-135m-instruct"),
        ("2", "Overview"),
        ("3", "occupations"),
        ("3", "perplexity"),
        ("2", "Methods and limitations"),
        ("2", "Provenance"),
    ]:
        assert heading in headings
    assert done.stdout.count("<svg") == 2
    assert "<img" not in done.stdout
    assert "<script" not in done.stdout
    assert complaints(done.stderr) == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_it_is_drawn_in_both_colour_schemes(browse: Browse, report: Path, tmp_path: Path, scheme: str) -> None:
    setting = {"dark": 0, "light": 1}[scheme]
    picture = tmp_path / "report.png"
    browse(
        report, f"--blink-settings=preferredColorScheme={setting}", "--window-size=1300,900", f"--screenshot={picture}"
    )
    image = pytest.importorskip("PIL.Image").open(picture)
    assert image.size == (1300, 900)
    brightness = image.convert("L").getpixel((1295, 895))
    assert (brightness < 60) if scheme == "dark" else (brightness > 240)


def test_it_prints_with_everything_unfolded(browse: Browse, report: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    browse(report, "--no-pdf-header-footer", f"--print-to-pdf={file}")
    pages = max(int(count) for count in re.findall(rb"/Count (\d+)", file.read_bytes()))
    # Four pages hold what is open on the screen; the folded prompts, settings, data and examples take the others.
    assert pages > 6
