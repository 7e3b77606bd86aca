"""The files of a report in their folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from llmaudit.errors import ReportError
from llmaudit.report.against import ANCHOR, against, forest
from llmaudit.report.figures import Drawing, draw
from llmaudit.report.html import render_html
from llmaudit.report.outline import sections
from llmaudit.report.summary import summary_markdown
from llmaudit.report.tables import estimates_csv, estimates_tex
from llmaudit.run import Run

__all__ = ["figure_files", "write_files", "write_report"]


def write_report(run: Run, folder: Path) -> Path:
    """Write report.html, summary.md, tables and figures into a folder and return the path of report.html.

    A pure function of the run: the same run gives the same bytes. Raises ReportError where a file cannot be written.
    """
    parts = sections(run)
    drawings = {
        part.anchor: [draw(figure, f"{part.anchor}.{place}") for place, figure in enumerate(part.audit.figures, 1)]
        for part in parts
    }
    if (differences := forest(against(run))) is not None:
        drawings[ANCHOR] = [draw(differences, ANCHOR)]
    files: dict[str, str | bytes] = {}
    for part in parts:
        if part.estimates:
            files[f"tables/{part.anchor}.csv"] = estimates_csv(part)
            files[f"tables/{part.anchor}.tex"] = estimates_tex(part)
    files |= figure_files(drawing for found in drawings.values() for drawing in found)
    files["summary.md"] = summary_markdown(run)
    # Last, so that a report that can be opened is complete.
    files["report.html"] = render_html(run, parts, drawings)
    again = f"llmaudit report {run.folder or folder}"
    write_files(files, folder, f"`{again}` makes it from run.json without asking the model again")
    return folder / "report.html"


def write_files(files: Mapping[str, str | bytes], folder: Path, way_out: str) -> None:
    """Write files into a folder, in their order. Raises ReportError, with the way out, where one cannot be written."""
    try:
        for name, content in files.items():
            _write(folder / name, content)
    except OSError as error:
        raise ReportError(
            f"{error.filename or folder}: the report cannot be written ({error.strerror or error}); make room or allow "
            f"writing there, then {way_out}"
        ) from error


def figure_files(drawings: Iterable[Drawing]) -> dict[str, str | bytes]:
    """Return the files of all pictures, by their paths."""
    files: dict[str, str | bytes] = {}
    for drawing in drawings:
        for picture in drawing.pictures:
            files[f"figures/{picture.name}.svg"] = picture.svg
            files[f"figures/{picture.name}.pdf"] = picture.pdf
    return files


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A lone surrogate, which a model can be made to write, has no form in UTF-8.
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
