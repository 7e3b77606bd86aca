"""Groups by noun, by names and as cells of crossed axes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from llmaudit.groups import Axes, AxisLevel, GroupParams, Groups, crossed, noun_of_axes

AXES = TypeAdapter(Axes)
GROUPS = TypeAdapter(Groups)
AGE = {"young": "young", "older": {"word": "older", "terms": ["elderly"]}}
GENDER = {"women": {"word": "women", "pronouns": "she"}, "men": {"word": "men", "pronouns": "he"}}
NAMES = ["Emily", "Anne", "Jill", "Sarah"]
OTHERS = ["Greg", "Brad", "Todd", "Neil"]


def axes(**changes: Any) -> dict[str, dict[str, AxisLevel]]:
    return AXES.validate_python({"age": AGE, "gender": GENDER, **changes})


def test_every_combination_of_levels_is_a_group_named_by_both() -> None:
    cells = crossed(axes(), "{age} {gender}")
    assert list(cells) == ["young_women", "young_men", "older_women", "older_men"]
    older = cells["older_women"]
    assert (older.noun, older.number, older.pronouns) == ("older women", "plural", "she")
    assert set(older.masked) == {"older women", "older", "elderly", "women"}


def test_levels_may_bring_number_and_slots() -> None:
    age = {
        "young": {"word": "a young", "slots": {"place": "school"}},
        "older": {"word": "an older", "slots": {"place": "home"}},
    }
    gender = {"woman": {"word": "woman", "number": "singular"}, "man": {"word": "man", "number": "singular"}}
    cell = crossed(axes(age=age, gender=gender), "{age} {gender}")["older_man"]
    assert (cell.noun, cell.number, cell.slots) == ("an older man", "singular", {"place": "home"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gender": {"women": "women"}}, "at least 2 items"),
        ({"group": AGE}, "an axis cannot be called 'group'"),
        (
            {"age": {"young": {"word": "young", "pronouns": "she"}, "older": "older"}},
            "both age and gender say pronouns",
        ),
        (
            {"age": {"young": {"word": "x", "slots": {"a": "b"}}, "older": "y"}},
            "levels of unequal slots: young and older",
        ),
        ({"age": {"young": {"word": "young", "number": "two"}, "older": "older"}}, "'plural' or 'singular'"),
        ({"age": {"young": " ", "older": "older"}}, "should match pattern"),
        ({"age": {"a": "x", "a_b": "y"}, "gender": {"b_c": "z", "c": "w"}}, "both be called 'a_b_c'"),
    ],
)
def test_what_cannot_be_crossed(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        axes(**changes)
    assert words in str(caught.value)


def test_two_axes_cannot_fill_one_slot() -> None:
    age = {level: {"word": level, "slots": {"place": level}} for level in ("young", "older")}
    gender = {level: {"word": level, "slots": {"place": level}} for level in ("women", "men")}
    with pytest.raises(ValidationError, match="both age and gender fill the slot 'place'"):
        axes(age=age, gender=gender)


@pytest.mark.parametrize(
    ("noun", "words"),
    [
        ("{age} people", "the noun lacks {gender}"),
        ("{age} {gneder}", r"unknown axis {gneder}; did you mean {gender}?"),
        ("{age} {gender}}", "a stray brace"),
    ],
)
def test_a_noun_names_every_axis_and_nothing_else(noun: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"axis|noun|brace") as caught:
        noun_of_axes(noun, ["age", "gender"])
    assert words in str(caught.value)


def test_names_stand_for_a_group_one_by_one() -> None:
    group = GroupParams(names=NAMES, pronouns="she", terms=["woman"])
    assert [variant.noun for variant in group.variants()] == NAMES
    assert {variant.number for variant in group.variants()} == {"singular"}
    assert group.masked == (*NAMES, "woman")
    assert GroupParams(noun="women").labels == ("women",)


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ({}, "Field required"),
        ({"noun": "women", "names": NAMES}, "a noun or names, not both"),
        ({"names": NAMES[:3]}, "at least 4 items"),
        ({"names": NAMES, "number": "plural"}, "after a name verbs take the singular"),
    ],
)
def test_a_group_has_a_noun_or_names(group: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GROUPS.validate_python({"women": group, "men": {"noun": "men"}})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([*OTHERS, "Matt"], "groups of unequal names: women has 4, men 5"),
        (["Greg", "Brad", "Todd", "greg"], "the name 'greg' in men stands here twice"),
        (["emily", "Brad", "Todd", "Neil"], "the name 'emily' in men stands here twice"),
    ],
)
def test_names_are_as_many_in_every_group_and_each_signals_one(names: list[str], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GROUPS.validate_python({"women": {"names": NAMES}, "men": {"names": names}})
    assert words in str(caught.value)


def test_a_group_with_a_noun_may_stand_beside_groups_with_names() -> None:
    found = GROUPS.validate_python({"women": {"names": NAMES}, "anybody": {"noun": "somebody", "number": "singular"}})
    assert found["anybody"].labels == ("somebody",)
