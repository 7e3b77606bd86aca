"""Which runs a folder of reports holds."""

from __future__ import annotations

from pathlib import Path

from llmaudit.earlier import earlier_runs, run_files
from tests.unit.planning.gender import earlier


def stored(reports: Path, model: str, start: str) -> Path:
    folder = reports / model / start
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(earlier(folder, [1.0, 2.0], model=model).to_json(), encoding="utf-8")
    return folder


def test_runs_come_newest_first_and_damaged_ones_are_passed(tmp_path: Path) -> None:
    old, new = stored(tmp_path, "a", "2026-01-01"), stored(tmp_path, "b", "2026-01-03")
    broken = tmp_path / "a" / "2026-01-02" / "run.json"
    broken.parent.mkdir()
    broken.write_text("{", encoding="utf-8")
    assert run_files(tmp_path) == [new / "run.json", broken, old / "run.json"]
    assert run_files(tmp_path, "a") == [broken, old / "run.json"]
    assert [run.folder for run in earlier_runs(tmp_path)] == [new, old]
    assert [run.folder for run in earlier_runs(tmp_path, most=1)] == [new]
    assert list(earlier_runs(tmp_path / "nothing")) == []
