"""What a model answered in one run is not asked again in the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

_HASH = "0" * 64
_ALL = [" people", " work", " women", " men", " students"]


def test_the_second_run_asks_nothing(project: Project) -> None:
    project.engine(sha256=_HASH)
    project.suite()
    project.run("--report-dir=first").assert_outcomes(passed=2, failed=1)
    assert project.asked == _ALL
    project.forget()
    project.run("--report-dir=second").assert_outcomes(passed=2, failed=1)
    assert project.asked == []
    assert project.verdicts("second") == project.verdicts("first")
    assert project.samples("second") == project.samples("first")
    assert [audit.timing.requests for audit in project.result("second").audits] == [2, 3]


@pytest.mark.parametrize("way", ["option", "long option", "environment"])
def test_going_round_the_store(project: Project, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    project.engine(sha256=_HASH)
    project.suite()
    project.run()
    project.forget()
    if way == "environment":
        monkeypatch.setenv("LLMAUDIT_NO_CACHE", "1")
    project.run(*{"option": ["--no-cache"], "long option": ["--llmaudit-no-cache"]}.get(way, []))
    assert project.asked == _ALL


def test_another_seed_and_other_weights_are_asked(project: Project) -> None:
    project.engine(sha256=_HASH)
    project.suite()
    project.run("-k", "words")
    project.forget()
    project.run("-k", "words", "--seed=1")
    assert len(project.asked) == 3
    project.forget()
    project.engine(sha256="1" * 64)
    project.run("-k", "words")
    assert len(project.asked) == 3


def test_a_model_without_a_hash_is_asked_every_time(project: Project) -> None:
    project.suite()
    for _ in range(2):
        project.forget()
        project.run()
        assert project.asked == _ALL
    assert not (project.path / "cache").exists()


def test_a_run_that_was_interrupted_goes_on(project: Project) -> None:
    stops = """\
    def handler(request):
        if request.text == " men":
            raise KeyboardInterrupt
    """
    project.suite()
    project.engine(stops, sha256=_HASH)
    project.run("-k", "words")
    project.forget()
    project.engine(sha256=_HASH)
    project.run("-k", "words").assert_outcomes(passed=1)
    assert project.asked == [" men", " students"]
    assert [sample["asked"] for sample in project.samples()] == [" women", " men", " students"]


def test_a_failed_request_is_asked_again(project: Project) -> None:
    fails = """\
    def handler(request):
        return llmaudit.Failure("timeout") if request.text == " men" else None
    """
    project.suite()
    project.engine(fails, sha256=_HASH)
    project.run("-k", "words")
    project.forget()
    project.engine(sha256=_HASH)
    project.run("-k", "words")
    assert project.asked == [" men"]


def test_a_store_that_cannot_be_used(project: Project) -> None:
    project.engine(sha256=_HASH)
    project.suite()
    project.file("cache", "a file\n")
    result = project.run("-k", "words")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*responses.sqlite3: the store of responses cannot be used (*--no-cache"])
    result.stdout.no_fnmatch_line("*Traceback*")
    project.run("-k", "words", "--no-cache").assert_outcomes(passed=1)
