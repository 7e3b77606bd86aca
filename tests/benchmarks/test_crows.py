from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.crows import FILE, DataError, find_file, load_pairs, read_pairs, shares
from benchmarks.prompts import sentence_pairs

CSV = """\
,sent_more,sent_less,stereo_antistereo,bias_type
0,"She said, ""no"".","He said, ""no"".",stereo,gender
1,The poor are loud.,The rich are loud.,antistereo,socioeconomic
"""
PAIRS = [('She said, "no".', 'He said, "no".'), ("The poor are loud.", "The rich are loud.")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("LLMAUDIT_BENCH_DATA", raising=False)
    found = tmp_path / "checkout" / ".." / "shared" / "data" / "crows_pairs"
    (tmp_path / "checkout").mkdir()
    found.mkdir(parents=True)
    (found / FILE).write_text(CSV, encoding="utf-8")
    return found.resolve()


def test_pairs_are_read_in_order(folder: Path) -> None:
    assert read_pairs(folder / FILE) == PAIRS
    assert load_pairs(folder) == PAIRS


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="there is no column sent_more"):
        read_pairs(tmp_path / FILE)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with pytest.raises(DataError, match="there is no column sent_more"):
        read_pairs(tmp_path / FILE)


def test_the_folder_beside_the_checkout_is_the_default(folder: Path, tmp_path: Path) -> None:
    assert find_file(None, tmp_path / "checkout") == folder / FILE
    assert find_file(None, tmp_path) is None


def test_a_folder_that_was_named_must_have_the_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="--data FOLDER or LLMAUDIT_BENCH_DATA"):
        find_file(tmp_path, tmp_path / "checkout")
    monkeypatch.setenv("LLMAUDIT_BENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match="there is no crows_pairs_anonymized"):
        find_file(None, tmp_path / "checkout")
    monkeypatch.setenv("LLMAUDIT_BENCH_DATA", str(folder))
    assert find_file(None, tmp_path) == folder / FILE


def test_own_pairs_take_the_place_of_a_missing_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.crows.find_file", lambda *_: None)
    assert load_pairs(None) == sentence_pairs()
    assert "own sentences" in capsys.readouterr().out


def test_every_pair_is_dealt_once() -> None:
    pairs = [(f"a{number}", f"b{number}") for number in range(7)]
    dealt = shares(pairs, 3)
    assert [len(share) for share in dealt] == [6, 4, 4]
    assert dealt[1] == ["a1", "b1", "a4", "b4"]
    assert sorted(sentence for share in dealt for sentence in share) == sorted(s for pair in pairs for s in pair)
