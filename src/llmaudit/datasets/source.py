"""Where a data set comes from: a file or folder, or the Hugging Face hub."""

from __future__ import annotations

import difflib
import socket
import urllib.request
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

from llmaudit.datasets.rows import DataFile

__all__ = ["from_hub", "from_path", "placed", "read_file"]

#: Seconds to wait for the hub.
_PATIENCE = 5


def placed(written: str, folder: Path) -> Path:
    """Return where a path leads that a suite in `folder` has; `~` is a home directory. Raises ValueError."""
    try:
        return folder / Path(written).expanduser()
    except RuntimeError:
        raise ValueError(f"{written}: there is no such home directory") from None


def read_file(path: Path) -> DataFile:
    """Read a file. Raises ValueError where there is none, with the nearest name, or where it cannot be read."""
    try:
        return DataFile(path.name, path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no file is called that
        raise ValueError(f"there is no file or folder {path}{_nearest(path)}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None


def from_path(path: Path, patterns: Sequence[str]) -> tuple[DataFile, ...]:
    """Read a file, or the files of a folder that match any pattern (`!` in front leaves files out).

    Raises ValueError where there are none, with the nearest name, or where one cannot be read.
    """
    try:
        if not path.is_dir():
            return (read_file(path),)
        found = [entry for entry in sorted(path.iterdir()) if entry.is_file() and _matches(entry.name, patterns)]
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if not found:
        wanted = ", ".join(pattern for pattern in patterns if not pattern.startswith("!"))
        raise ValueError(f"the folder {path} has no file of this reader ({wanted})")
    return tuple(map(read_file, found))


def from_hub(repository: str, files: Sequence[str], revision: str | None) -> tuple[DataFile, ...]:
    """Download files of a data set on the hub, or take them from its cache. Raises ValueError with the way out."""
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - only where a suite asks for it
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    found = []
    away = not _reachable()
    for file in files:
        try:
            local = hf_hub_download(repository, file, repo_type="dataset", revision=revision, local_files_only=away)
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
            raise ValueError(
                f"{file} of {repository} cannot be had from the hub ({type(error).__name__}): check the names and the"
                " connection, or download the file elsewhere and give its place as path"
            ) from None
        # Configurations of one set often share the names of their files: the folder tells them apart.
        found.append(DataFile(file, Path(local).read_bytes()))
    return tuple(found)


def _reachable() -> bool:
    """Whether the hub answers at all: where it does not, the library would try for half a minute, file by file."""
    from huggingface_hub import constants  # noqa: PLC0415 - only where a suite asks for it

    address = urlsplit(constants.ENDPOINT)
    if constants.is_offline_mode() or urllib.request.getproxies():  # what stands behind a proxy is the proxy's to say
        return not constants.is_offline_mode()
    try:
        socket.create_connection((address.hostname or "", address.port or 443), timeout=_PATIENCE).close()
    except OSError:
        return False
    return True


def _matches(name: str, patterns: Sequence[str]) -> bool:
    left_out = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return any(fnmatch(name, pattern) for pattern in patterns) and not any(fnmatch(name, p) for p in left_out)


def _nearest(path: Path) -> str:
    try:
        close = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
    except OSError:
        return ""
    return f"; is {close[0]!r} meant?" if close else ""
