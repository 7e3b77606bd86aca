"""How a suite names the files of a parallel text."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr, ValidationInfo, computed_field, model_validator

from llmaudit.audit import Name, Spec
from llmaudit.parallel_text import flores, udhr
from llmaudit.parallel_text.text import ParallelText

__all__ = ["ParallelData"]


class ParallelData(Spec):
    """A parallel text that is read from files; it is read when the suite is."""

    reader: Literal["flores", "udhr"]
    """The layout of the files: FLORES-200, or the Universal Declaration of Human Rights."""
    path: str = Field(min_length=1)
    """The folder of the set; a relative path starts at the suite's folder."""
    languages: list[Name] = Field(min_length=1)
    """Languages, named as the set's files name them."""
    split: Literal["dev", "devtest"] = "devtest"
    """Which part of FLORES-200."""
    limit: int | None = Field(default=None, ge=1)
    """How many sentences to read, from the first on; all of them where left out."""

    _text: ParallelText = PrivateAttr()

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> ParallelData:
        if twice := next((name for name in self.languages if self.languages.count(name) > 1), None):
            raise ValueError(f"languages: {twice!r} stands here twice")
        if self.reader == "udhr" and "split" in self.model_fields_set:
            raise ValueError("split: the Declaration has no parts; only FLORES-200 has")
        folder = (info.context or {}).get("folder", Path()) / self.path
        if self.reader == "flores":
            text = flores.read(folder, self.languages, self.split)
        else:
            text = udhr.read(folder, self.languages)
        self._text = text.first(self.limit)
        return self

    @property
    def text(self) -> ParallelText:
        """What was read."""
        return self._text

    @computed_field  # type: ignore[prop-decorator] # mypy knows no decorated properties
    @property
    def sha256(self) -> dict[str, str]:
        """Name of a file that was read -> SHA-256 of its bytes."""
        return dict(self._text.sha256)
