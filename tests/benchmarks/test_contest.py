from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.contest import Contender, Result, Timed, race


def _contender(name: str, log: list[str], work: Callable[[int], int] = lambda _: 2) -> Contender:
    def logged(repetition: int) -> int:
        log.append(f"{name}{repetition}")
        return work(repetition)

    return Contender(name, lambda: log.append(f"{name} warm"), logged)


def _refuse(*_: object) -> int:
    raise ValueError("no such thing\nand more")


def test_contenders_take_turns_and_the_first_changes() -> None:
    log: list[str] = []
    results = race("job", [_contender(name, log) for name in "abc"], repetitions=3)
    assert log == ["a warm", "b warm", "c warm", *("a0", "b0", "c0"), *("b1", "c1", "a1"), *("c2", "a2", "b2")]
    assert [len(results[name].timed) for name in "abc"] == [3, 3, 3]
    assert all(timed.items == 2 and timed.seconds > 0 for timed in results["a"].timed)


def test_a_row_is_printed_when_its_contender_is_through(capsys: pytest.CaptureFixture[str]) -> None:
    race("job", [_contender("a", []), _contender("b", [])], repetitions=2)
    lines = capsys.readouterr().out.splitlines()
    # The second repetition starts with the second contender.
    assert [line.split()[:2] for line in lines] == [["job:", "b"], ["job:", "a"]]


def test_one_failure_in_the_warm_up_leaves_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    log: list[str] = []
    broken = Contender("broken", _refuse, lambda _: 1)
    results = race("job", [broken, _contender("a", log)], repetitions=1)
    assert results["broken"].failure == "ValueError: no such thing"
    assert results["broken"].timed == []
    assert log == ["a warm", "a0"]
    assert "job: broken" in (row := capsys.readouterr().out.splitlines()[0])
    assert row.endswith("failed: ValueError: no such thing")


def test_a_contender_that_fails_later_is_not_asked_again() -> None:
    log: list[str] = []
    fails = _contender("a", log, lambda repetition: 1 if repetition == 0 else _refuse())
    results = race("job", [fails], repetitions=3)
    assert log == ["a warm", "a0", "a1"]
    assert results["a"].failure == "in repetition 2: ValueError: no such thing"


def test_an_error_without_words_has_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise AssertionError

    assert race("job", [Contender("a", refuse, lambda _: 1)], 1)["a"].failure == "AssertionError"
    assert capsys.readouterr().out.strip().endswith("failed: AssertionError")


def test_the_rate_is_a_median_and_the_row_sums() -> None:
    result = Result("a", [Timed(1.0, 10), Timed(2.0, 10), Timed(10.0, 10)])
    assert result.rate == 5.0
    assert result.line("job").split() == ["job:", "a", "13.000", "30", "5"]
