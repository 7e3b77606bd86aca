"""What is no run is one message, with the nearest one that is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmaudit.comparison import load_runs
from llmaudit.errors import RunError

from .conftest import make_run


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    for model, start in [
        ("gpt2", "2026-11-20T10-00-00"),
        ("gpt2", "2026-11-22T10-00-00"),
        ("tiny", "2026-11-21T10-00-00"),
    ]:
        folder = tmp_path / "reports" / model / start
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(make_run(f"{model}-{start}").to_json(), encoding="utf-8")
    return tmp_path / "reports"


def test_runs_come_in_their_order(reports: Path) -> None:
    paths = [reports / "tiny" / "2026-11-21T10-00-00", reports / "gpt2" / "2026-11-20T10-00-00" / "run.json"]
    assert [run.run_id[3:7] for run in load_runs(paths)] == ["tiny", "gpt2"]


@pytest.mark.parametrize("count", [0, 1])
def test_one_run_is_no_comparison(reports: Path, count: int) -> None:
    with pytest.raises(RunError, match="two runs or more"):
        load_runs([reports / "tiny" / "2026-11-21T10-00-00"] * count)


def test_a_run_given_twice_is_noticed_by_its_id(reports: Path) -> None:
    folder = reports / "tiny" / "2026-11-21T10-00-00"
    with pytest.raises(RunError, match="given twice"):
        load_runs([folder, folder / "run.json"])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("gpt2", "gpt2/2026-11-22T10-00-00"),
        ("gpt2/2026-11-20T10-00-01", "gpt2/2026-11-20T10-00-00"),
        ("gtp2", "gpt2/2026-11-22T10-00-00"),
    ],
)
def test_a_path_without_a_run_names_the_nearest(reports: Path, given: str, meant: str) -> None:
    with pytest.raises(RunError, match="there is no run here") as caught:
        load_runs([reports / "tiny" / "2026-11-21T10-00-00", reports / given])
    assert str(caught.value).endswith(f"did you mean {reports / meant}?")


def test_without_any_run_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        load_runs([tmp_path / "a" / "b", tmp_path])
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"), [('{"schema_version": 1, "run', "not a readable"), ("[]", "not a readable")]
)
def test_a_truncated_run_is_named_and_no_other_is_offered(reports: Path, text: str, words: str) -> None:
    file = reports / "gpt2" / "2026-11-22T10-00-00" / "run.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=words) as caught:
        load_runs([reports / "tiny" / "2026-11-21T10-00-00", file.parent])
    assert "did you mean" not in str(caught.value)


def test_a_newer_run_is_refused(reports: Path) -> None:
    file = reports / "gpt2" / "2026-11-22T10-00-00" / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"schema_version": 99}), encoding="utf-8")
    with pytest.raises(RunError, match="schema version 99"):
        load_runs([file, reports / "tiny" / "2026-11-21T10-00-00"])
