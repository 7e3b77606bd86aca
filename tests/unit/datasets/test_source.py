from __future__ import annotations

import socket
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from llmaudit.datasets.source import from_hub, from_path, placed


def test_a_folder_gives_the_files_of_its_reader(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "preds_a.jsonl", "LICENSE.txt"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    found = from_path(tmp_path, ("*.jsonl", "!preds_*"))
    assert [file.name for file in found] == ["a.jsonl", "b.jsonl"]
    assert found[0].data == b"a.jsonl"


def test_a_named_file_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_bytes(b"x")
    assert [file.name for file in from_path(tmp_path / "mine.txt", ("*.csv",))] == ["mine.txt"]


def test_a_folder_without_such_files_says_which_it_wants(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no file of this reader \(\*\.jsonl\)$"):
        from_path(tmp_path, ("*.jsonl", "!preds_*"))


def test_a_missing_path_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "crows_pairs.csv").touch()
    with pytest.raises(
        ValueError, match=r"there is no file or folder .*crows_pair\.csv; is 'crows_pairs\.csv' meant\?"
    ):
        from_path(tmp_path / "crows_pair.csv", ())
    with pytest.raises(ValueError, match="there is no file or folder"):
        from_path(tmp_path / "nowhere" / "f.csv", ())


@pytest.mark.parametrize(
    ("name", "message"), [("x" * 300, "cannot be read: File name too long"), ("x\0", "there is no file or folder")]
)
def test_a_name_that_no_file_can_have_is_no_crash(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_path(tmp_path / name, ())


def test_a_path_starts_at_the_suite_or_at_a_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert placed("data/f.csv", tmp_path) == tmp_path / "data" / "f.csv"
    assert placed("~/f.csv", tmp_path) == Path("/home/somebody/f.csv")
    with pytest.raises(ValueError, match=r"^~nobody-of-that-name/f\.csv: there is no such home directory$"):
        placed("~nobody-of-that-name/f.csv", tmp_path)


@pytest.mark.parametrize("reachable", [True, False])
def test_the_hub_is_asked_for_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, reachable: bool) -> None:
    asked = []

    def connect(*_: object, **__: object) -> socket.socket:
        if not reachable:
            raise OSError("no network")
        return socket.socket()

    def download(repository: str, file: str, **more: str | bool | None) -> str:
        asked.append((repository, file, more))
        (tmp_path / "f").write_bytes(b"data")
        return str(tmp_path / "f")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(huggingface_hub.constants, "is_offline_mode", lambda: False)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    found = from_hub("owner/name", ["data/a.csv"], "main")
    # Where nobody answers, the library would knock for half a minute: it is asked for what it has.
    more = {"repo_type": "dataset", "revision": "main", "local_files_only": not reachable}
    assert asked == [("owner/name", "data/a.csv", more)]
    assert [(file.name, file.data) for file in found] == [("data/a.csv", b"data")]


@pytest.mark.parametrize("error", [LocalEntryNotFoundError("offline"), OSError("no disk")])
def test_what_the_hub_does_not_give_has_a_way_out(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(ValueError, match=r"a\.csv of owner/name cannot be had from the hub .* give its place as path"):
        from_hub("owner/name", ["a.csv"], None)


def test_a_name_that_no_data_set_can_have_is_told_likewise() -> None:
    with pytest.raises(ValueError, match=r"cannot be had from the hub \(HFValidationError\)"):
        from_hub("a/b/c", ["a.csv"], None)
