from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.settings import PARTS, Settings, parse


def test_the_defaults() -> None:
    assert parse([]) == Settings("smollm2-135m-instruct", quick=False, parts=PARTS, repetitions=3, data=None)


def test_everything_given() -> None:
    given = ["--quick", "--model", "gpt2", "--only", "startup,generate", "--repetitions", "5", "--data", "d"]
    assert parse(given) == Settings("gpt2", quick=True, parts=("generate", "startup"), repetitions=5, data=Path("d"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--only", "generate,speed"],
            "'speed' is not a part; say one or more of generate,likelihood,mixed",
        ),
        (["--repetitions", "0"], "'0' is not a number of repetitions; say 3 or more"),
        (["--repetitions", "-1"], "'-1' is not a number of repetitions"),
    ],
)
def test_mistakes_are_told(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(arguments)
    assert message in capsys.readouterr().err
