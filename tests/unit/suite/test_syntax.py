from __future__ import annotations

import pytest
import yaml

from llmaudit.errors import SuiteError
from llmaudit.suite import strict_yaml
from llmaudit.suite.strict_yaml import parse


@pytest.fixture(params=["C", "Python"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both loaders of PyYAML word their errors differently; suites must not."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader) if request.param == "C" else yaml.SafeLoader
    monkeypatch.setattr(strict_yaml, "_LOADER", loader)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\t- b", "2:1", "a tab cannot indent; use spaces"),
        ("a: 1\n\tb: 2", "2:1", "a tab cannot indent; use spaces"),
        ("a: @x", "1:4", "a text that begins with '@' needs quotes"),
        ("a: %x", "1:4", "a text that begins with '%' needs quotes"),
        ("a: b: c", "1:5", "':' makes no sense here; a text that holds ': ' needs quotes"),
        ("a: -", "1:4", "'-' makes no sense here; a list begins on a line of its own"),
        ("a:\n  - 'x\n", "3:1", "the quote opened on line 2 is never closed"),
        ("a: [b,\n{c: 1}\nd: 2\n", "3:1", "expected ',' or ']' to go on with the list opened on line 1"),
        ("a: {b: 1\n  c: 2}", "2:4", "expected ',' or '}' to go on with the mapping opened on line 1"),
        (
            "a:\n  b: 1\n c: 2\n",
            "3:2",
            "expected another key of the mapping that began on line 1; is the indentation right?",
        ),
        ("- a\nb: 1", "2:1", "expected another '-' of the list that began on line 1; is the indentation right?"),
        ("a\0b", "1:2", "the character U+0000 does not belong in text; is this a YAML file?"),
        ("a:\r\n  b: c\u2028d", "2:7", 'the character U+2028 ends a line for some readers only; write it as "\\u2028"'),
        ("a: \ud800", "1:4", "the character U+D800 does not belong in text; is this a YAML file?"),
    ],
)
def test_the_place_and_plain_words(text: str, place: str, words: str) -> None:
    with pytest.raises(SuiteError) as caught:
        parse(text, "f.yaml")
    assert caught.value.problems == (f"f.yaml:{place}: {words}",)


def test_an_unknown_escape() -> None:
    # One loader points at the backslash, the other behind it.
    with pytest.raises(
        SuiteError, match=r"^f:1:[56]: an unknown escape; in double quotes a backslash is written twice$"
    ):
        parse('a: "\\q"', "f")


@pytest.mark.parametrize("text", ["a: *", 'a: "\\U00110000"', "a: !<%ff> 1", "a: >3x\n b"])
def test_rare_errors_keep_the_words_of_the_parser(text: str) -> None:
    with pytest.raises(SuiteError, match=r"^f\.yaml:1:\d+: not YAML: "):
        parse(text, "f.yaml")
