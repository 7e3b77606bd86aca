"""Designs as pytest items: collected for a plan, and for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmaudit.errors import SuiteError
from llmaudit.planning.designs import Design, read_design

__all__ = ["DesignFile", "DesignItem"]


class DesignFile(pytest.File):
    """One *.design.yaml file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Read the design; every mistake in it becomes one line of one collection error."""
        try:
            design = read_design(self.path)
        except SuiteError as error:
            raise self.CollectError(str(error)) from None
        yield DesignItem.from_parent(self, name=design.design, design=design)


class DesignItem(pytest.Item):
    """One design."""

    def __init__(self, *, design: Design, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.design = design

    def runtest(self) -> None:
        """A design is planned and never run."""
        raise NotImplementedError
