"""Folders in the layout of FLORES-200."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from llmaudit.parallel_text import flores


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sentences in two languages, two of them from one page."""
    (tmp_path / "devtest").mkdir()
    write(tmp_path, "devtest/eng_Latn.devtest", "One.\nTwo.\nThree.\n")
    write(tmp_path, "devtest/deu_Latn.devtest", "Eins.\r\nZwei.\r\nDrei.\r\n")
    write(tmp_path, "metadata_devtest.tsv", "URL\tdomain\nhttp://a\tnews\nhttp://a\tnews\nhttp://b\tnews\n")
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode())


def test_sentences_sources_and_hashes(folder: Path) -> None:
    text = flores.read(folder, ["eng_Latn", "deu_Latn"], "devtest")
    assert text.passages == {"eng_Latn": ("One.", "Two.", "Three."), "deu_Latn": ("Eins.", "Zwei.", "Drei.")}
    assert text.documents == ("http://a", "http://a", "http://b")
    assert text.sha256["eng_Latn.devtest"] == hashlib.sha256(b"One.\nTwo.\nThree.\n").hexdigest()
    assert set(text.sha256) == {"eng_Latn.devtest", "deu_Latn.devtest", "metadata_devtest.tsv"}


def test_the_first_sentences_alone(folder: Path) -> None:
    text = flores.read(folder, ["eng_Latn"], "devtest").first(2)
    assert text.passages == {"eng_Latn": ("One.", "Two.")}
    assert text.documents == ("http://a", "http://a")


def test_without_metadata_every_sentence_stands_for_itself(folder: Path) -> None:
    (folder / "metadata_devtest.tsv").unlink()
    assert flores.read(folder, ["eng_Latn"], "devtest").documents == ()


def test_characters_that_other_programs_take_for_the_end_of_a_line(folder: Path) -> None:
    write(folder, "devtest/eng_Latn.devtest", "\ufeffOne\u2028.\nTwo\x0b.\nThree.")
    assert flores.read(folder, ["eng_Latn"], "devtest").passages["eng_Latn"] == ("One\u2028.", "Two\x0b.", "Three.")


def test_a_language_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"no sentences in 'deu_Lat' under .*devtest; did you mean 'deu_Latn'\?"):
        flores.read(folder, ["deu_Lat"], "devtest")
    with pytest.raises(ValueError, match=r"no sentences in 'xx' under .* \(there are deu_Latn, eng_Latn\)"):
        flores.read(folder, ["xx"], "devtest")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("devtest/deu_Latn.devtest", "Eins.\nZwei.\n", "deu_Latn.devtest has 2 lines, eng_Latn.devtest has 3"),
        ("devtest/deu_Latn.devtest", "Eins.\n \nDrei.\n", "deu_Latn.devtest:2: the line is blank"),
        ("metadata_devtest.tsv", "URL\tdomain\nhttp://a\tnews\n", "metadata_devtest.tsv has 1 rows for 3 sentences"),
        ("metadata_devtest.tsv", "page\nx\ny\nz\n", "metadata_devtest.tsv:1: there is no column 'URL'"),
        ("metadata_devtest.tsv", "n\tURL\n1\ta\n2\n3\tb\n", "metadata_devtest.tsv:3: there is no URL"),
    ],
)
def test_files_that_do_not_belong_together(folder: Path, name: str, text: str, message: str) -> None:
    write(folder, name, text)
    with pytest.raises(ValueError, match=message):
        flores.read(folder, ["eng_Latn", "deu_Latn"], "devtest")


def test_a_file_in_another_encoding(folder: Path) -> None:
    (folder / "devtest/deu_Latn.devtest").write_bytes("Eins.\nZwölf.\nDrei.\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"deu_Latn\.devtest:2: this is not UTF-8"):
        flores.read(folder, ["eng_Latn", "deu_Latn"], "devtest")


def test_a_folder_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no folder .*dev; did you mean 'devtest'\?"):
        flores.read(folder, ["eng_Latn"], "dev")
    with pytest.raises(ValueError, match=r"there is no folder .*nowhere"):
        flores.read(folder / "nowhere" / "at all", ["eng_Latn"], "devtest")
    with pytest.raises(ValueError, match=r"metadata_devtest\.tsv is no folder"):
        flores.read(folder / "metadata_devtest.tsv", ["eng_Latn"], "devtest")


def test_a_folder_is_no_language(folder: Path) -> None:
    (folder / "devtest/fra_Latn.devtest").mkdir()
    with pytest.raises(ValueError, match="no sentences in 'fra_Latn'"):
        flores.read(folder, ["fra_Latn"], "devtest")
