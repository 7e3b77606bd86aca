"""Other files in the language of suites."""

from __future__ import annotations

import pytest

from llmaudit.audit import Spec
from llmaudit.errors import SuiteError
from llmaudit.suite.files import read_model


class Colours(Spec):
    """A file of some other kind."""

    name: str
    shades: list[str]


def test_a_file_is_read_into_its_model() -> None:
    assert read_model(b"name: red\nshades: [no, on]\n", "f", Colours) == Colours(name="red", shades=["no", "on"])


def test_every_mistake_is_told_with_its_place() -> None:
    with pytest.raises(SuiteError) as caught:
        read_model(b"name: 3\nname: 4\nshade: [x]\n", "f.yaml", Colours)
    assert [problem.partition("; ")[0] for problem in caught.value.problems] == [
        "f.yaml:1:7: name: expected a string, got 3",
        "f.yaml:2:1: name: duplicate key",
        "f.yaml:3:1: unknown key 'shade'",
    ]


def test_a_file_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(SuiteError, match=r"f:1:1: the file is empty"):
        read_model(b"", "f", Colours)
    with pytest.raises(SuiteError, match=r"f:1:1: the byte 0xff is not UTF-8"):
        read_model(b"\xff", "f", Colours)
