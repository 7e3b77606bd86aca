"""How a suite names a codebook and a file of human codes: a path in, what was read out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, ValidationInfo

from llmaudit.coding.codebook import CodebookFile, open_codebook
from llmaudit.coding.human import HumanCodes, open_human_codes

__all__ = ["CodebookPath", "HumanPath"]


def _codebook(value: Any, info: ValidationInfo) -> CodebookFile:
    return open_codebook(_path(value), _folder(info))


def _human(value: Any, info: ValidationInfo) -> HumanCodes:
    file = info.data.get("codebook")
    if file is None:  # refused already, and without categories no column could be read
        return HumanCodes(_path(value), "", {})
    return open_human_codes(_path(value), _folder(info), file.codebook.categories)


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected the path of a file, relative to the suite")
    return value


def _folder(info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return folder if isinstance(folder, Path) else Path()


def _written(file: CodebookFile | HumanCodes) -> str:
    return file.written


#: Validated to what the file holds, written out again as the path that the suite has.
CodebookPath = Annotated[
    CodebookFile, PlainValidator(_codebook, json_schema_input_type=str), PlainSerializer(_written, return_type=str)
]
#: Likewise; stands after a field named `codebook`, whose categories are its columns.
HumanPath = Annotated[
    HumanCodes, PlainValidator(_human, json_schema_input_type=str), PlainSerializer(_written, return_type=str)
]
