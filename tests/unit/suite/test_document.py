from __future__ import annotations

import pytest

from llmaudit.suite.strict_yaml import parse

TEXT = """\
# a comment
first: &shared
  - one
  - {deep: 2}
"second" : *shared
é: {ключ: v}
"""


def test_every_step_has_a_key_place_and_a_value_place() -> None:
    document = parse(TEXT, "f")
    assert document.place(()) == (2, 1)
    assert document.key_place(("first",)) == (2, 1)
    assert document.place(("first", 0)) == document.key_place(("first", 0)) == (3, 5)
    assert document.key_place(("first", 1, "deep")) == (4, 6)
    assert document.place(("first", 1, "deep")) == (4, 12)


def test_columns_count_characters() -> None:
    document = parse(TEXT, "f")
    assert document.place(("é",)) == (6, 4)
    assert document.place(("é", "ключ")) == (6, 11)


def test_an_alias_stands_where_it_is_used_and_its_content_at_the_anchor() -> None:
    document = parse(TEXT, "f")
    assert document.place(("second",)) == (5, 12)
    assert document.place(("second", 1, "deep")) == (4, 12)


def test_a_step_that_leads_nowhere() -> None:
    with pytest.raises(KeyError):
        parse(TEXT, "f").place(("first", 2))
