from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

def test_k(project: Project) -> None:
    project.suite()
    result = project.run("-k", "words")
    print(result.outlines)
    assert project.asked == [" women", " men", " students"]

def test_k2(project: Project) -> None:
    project.suite()
    result = project.run("-k", "words")
    assert project.asked == [" women", " men", " students"]
