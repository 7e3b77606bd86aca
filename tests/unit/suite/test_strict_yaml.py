from __future__ import annotations

import contextlib
import math
import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaudit.errors import SuiteError
from llmaudit.suite.document import Entry
from llmaudit.suite.scalars import resolve
from llmaudit.suite.strict_yaml import decode, parse, read


def data(text: str) -> Any:
    return parse(text, "f").data


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(SuiteError) as caught:
        parse(text, "f")
    return caught.value.problems


def test_quotes_keep_a_word_text() -> None:
    text = "a: '12'\nb: \"true\"\nc: |\n  null\nd: 12\ne:\n'no': no\n'': ~"
    assert data(text) == {"a": "12", "b": "true", "c": "null\n", "d": 12, "e": None, "no": "no", "": None}


def test_flow_and_block_collections() -> None:
    assert data("a: [1, {b: c, d}]\ne:\n- - f\n") == {"a": [1, {"b": "c", "d": None}], "e": [["f"]]}


def test_aliases_stand_for_their_anchor_even_as_keys() -> None:
    assert data("a: &x [1]\nb: *x\nc: &y z\n*y : 1") == {"a": [1], "b": [1], "c": "z", "z": 1}


def test_a_byte_order_mark_is_no_text() -> None:
    document = parse("\ufeffa: 1", "f")
    assert document.data == {"a": 1}
    assert document.key_place(("a",)) == (1, 1)


def test_a_document_may_be_marked() -> None:
    assert data("%YAML 1.2\n---\na: 1\n...\n") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "f:4:3: b.c: duplicate key; it stands on line 3, column 3 already"),
        (
            "a: &x {b: 1}\nc:\n  <<: *x",
            "f:3:3: c: the merge key '<<' is not YAML 1.2; write the keys out, or share a whole value with an alias",
        ),
        ("a:\n  2020: x", "f:2:3: a: a key must be a string, not 2020; put it in quotes"),
        ("true: x", "f:1:1: a key must be a string, not true; put it in quotes"),
        ("? [a]\n: b", "f:1:3: a key must be a string, not a list"),
        ("~: x", "f:1:1: a key must be a string, not nothing"),
        (
            "a: !!python/object:os.system x",
            "f:1:4: a: tags such as '!!python/object:os.system' are refused; quote a text, write a number bare",
        ),
        ("a: ! 12", "f:1:4: a: tags such as '!' are refused; quote a text, write a number bare"),
        ("a: [*x]", "f:1:5: a[0]: the alias '*x' has no anchor before it"),
        (
            "a: &shared 1\nb: *shred",
            "f:2:4: b: the alias '*shred' has no anchor before it; did you mean 'shared'?",
        ),
        ("a: &x [1, *x]", "f:1:11: a[1]: the alias '*x' stands inside its own anchor"),
        ("a: &x 1\nb: &x 2", "f:2:4: duplicate anchor '&x'; the first is on line 1"),
        ("a: 1" + "0" * 2000, "f:1:4: a: a number of 2001 digits is too long"),
        ("", "f:1:1: the file is empty"),
        ("# nothing\n\n", "f:1:1: the file is empty"),
        ("---\n...\n", "f:1:1: the file is empty"),
        ("a: 1\n---\nb: 2", "f:2:1: a second document begins here; one file holds one suite"),
        ("# x\n%YAML 1.1\n---\na: 1", "f:2:1: directives are refused: suites are YAML 1.2, without tags"),
        ("%TAG ! x\n---\na: !b 1", "f:1:1: directives are refused: suites are YAML 1.2, without tags"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    assert problems(text) == (problem,)


def test_mild_mistakes_are_told_together_and_leave_the_rest_readable() -> None:
    text = "a: 1\na: 2\nb: !!int 3\n4: c\nd: 5"
    assert [problem.split(": ")[0] for problem in problems(text)] == ["f:2:1", "f:3:4", "f:4:1"]
    document = read(text, "f")
    assert document.data == {"a": 1, "b": "3", "d": 5}
    assert len(document.problems) == 3


def test_mild_mistakes_are_told_beside_the_one_that_stops_the_reader() -> None:
    assert [problem.split(": ")[0] for problem in problems("a: 1\na: 2\nb: @")] == ["f:2:1", "f:3:4"]


@pytest.mark.parametrize("nest", ["[", "- ", "{a: ", "? "])
def test_deep_nesting_is_refused(nest: str) -> None:
    start = time.monotonic()
    (problem,) = problems(nest * 100_000)
    assert problem.endswith("nested more than 100 levels deep")
    assert time.monotonic() - start < 5


def test_nesting_by_aliases_is_refused() -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [[[[*a{i - 1}]]]]\n" for i in range(1, 40))
    (problem,) = problems(text)
    assert problem.endswith("nested more than 100 levels deep")


def test_an_alias_bomb_is_refused() -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    start = time.monotonic()
    (problem,) = problems(text)
    assert problem.endswith("more than 250000 values, with the aliases written out")
    assert time.monotonic() - start < 5


def test_a_long_list_is_not_a_bomb() -> None:
    assert len(data("".join(f"- {i}\n" for i in range(20_000)))) == 20_000


@pytest.mark.parametrize(
    ("raw", "place"),
    [(b"a: 1\n\xc3\xa9: \xff", "2:4"), ("a: 1".encode("utf-16"), "1:1"), (b"caf\xe9: 1", "1:4")],
)
def test_other_encodings_are_refused(raw: bytes, place: str) -> None:
    with pytest.raises(SuiteError, match=rf"^f:{place}: the byte 0x\w\w is not UTF-8 text; save the file as UTF-8$"):
        decode(raw, "f")


# PyYAML writes the characters that suites refuse, taking them for line breaks.
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"), max_size=20) | st.sampled_from(
    ["no", "on", "~", "null", "1:30", "012", "2026-01-31", "<<", "=", " x", "x ", "a: b", "#", "- a", "\t", "\n", "\\"]
)
# PyYAML writes YAML 1.1: a word that only 1.2 takes for a number, such as 1e-3, it would not quote.
TEXTS = WORDS.filter(lambda word: isinstance(resolve(word), str) or yaml.safe_dump(word)[0] in "'\"")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and math.isnan(left):
        return isinstance(right, float) and math.isnan(right)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


@given(PLAIN.filter(lambda value: value is not None), st.booleans(), st.booleans())
def test_what_pyyaml_writes_comes_back(value: Any, flow: bool, ascii_only: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=not ascii_only, sort_keys=False)
    assert same(data(text), value)


@given(st.text() | st.text("-?:,[]{}#&*!|>'\"%@`<= \n\tab0", max_size=40))
@settings(max_examples=400)
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SuiteError):
        parse(text, "f")


@given(st.dictionaries(TEXTS, PLAIN, min_size=1, max_size=4), st.booleans())
def test_places_are_those_of_pyyaml(value: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    document = parse(text, "f")
    assert_places(document.root, yaml.compose(text, Loader=yaml.SafeLoader))


def assert_places(entry: Entry, node: Any) -> None:
    assert entry.value == place(node)
    children = list(entry.node.children.values())
    if isinstance(node, yaml.MappingNode):
        assert [child.key for child in children] == [place(key) for key, _ in node.value]
        for child, (_, value) in zip(children, node.value, strict=True):
            assert_places(child, value)
    elif isinstance(node, yaml.SequenceNode):
        for child, item in zip(children, node.value, strict=True):
            assert_places(child, item)


def place(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
