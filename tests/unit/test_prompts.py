"""Templates: every slot comes out grammatical, and what does not is named."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.prompts import PRONOUNS, SLOTS, Group, check_template, lint, render

WOMEN = Group("women")
WOMAN = Group("the woman", "singular", "she")
MAN = Group("the man", "singular", "he")
NURSE = Group("the nurse", "singular", "they")


@pytest.mark.parametrize(
    ("pronouns", "expected"),
    [
        ("they", "they them their theirs themselves are were have do"),
        ("she", "she her her hers herself is was has does"),
        ("he", "he him his his himself is was has does"),
    ],
)
def test_every_pronoun_slot_of_every_set(pronouns: str, expected: str) -> None:
    group = Group("somebody", pronouns=pronouns)
    template = (
        "x {subject} {object} {possessive} {possessive_pronoun} {reflexive}"
        " {pronoun_is} {pronoun_was} {pronoun_has} {pronoun_does}"
    )
    assert render(template, group) == f"x {expected}"


@pytest.mark.parametrize(("number", "expected"), [("plural", "are were have do"), ("singular", "is was has does")])
def test_every_verb_slot_follows_the_number_of_the_noun(number: str, expected: str) -> None:
    # A singular noun may go with "they": its verbs are singular while the pronoun's are plural.
    group = Group("the nurse", "singular" if number == "singular" else "plural", "they")
    assert render("x {is} {was} {has} {does}", group) == f"x {expected}"
    assert render("x {pronoun_is} {pronoun_was} {pronoun_has} {pronoun_does}", group) == "x are were have do"


def test_the_slots_are_all_there_are() -> None:
    assert {"group", "subject", "object", "possessive", "possessive_pronoun", "reflexive"} < SLOTS
    for slot in SLOTS:
        for pronouns in PRONOUNS:
            assert Group("women", pronouns=pronouns).fill(slot)


def test_an_unknown_slot_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        WOMEN.fill("nothing")


def test_a_slot_of_the_users_own() -> None:
    group = Group("nurses", extra={"place": "hospital"})
    assert render("In the {place}, {group} work.", group) == "In the hospital, nurses work."


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{group} work.", "Women work."),
        ("It rained. {group} work! {subject} rest? {possessive} day.", "It rained. Women work! They rest? Their day."),
        ('"{group} work."', '"Women work."'),
        ("“{group} work.”", "“Women work.”"),
        ("It rained. ({group} work.)", "It rained. (Women work.)"),
        ("{is} {group} late?", "Are women late?"),
        ("In town, {group} work; {subject} rest: {object}.", "In town, women work; they rest: them."),
        ("the end.{group}", "the end.women"),
    ],
)
def test_capitals_only_at_the_start_of_a_sentence(template: str, expected: str) -> None:
    assert render(template, WOMEN) == expected


def test_a_capital_keeps_the_rest_of_the_noun() -> None:
    assert render("{group} work.", Group("the US senator", "singular")) == "The US senator work."


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{gruop} work", r"unknown slot \{gruop\}; did you mean \{group\}\?"),
        ("{group} said {posessive} name", r"did you mean \{possessive\}\?"),
        ("{group} {xyzzy}", r"unknown slot \{xyzzy\} \(known: "),
        ("{group} {town} x {twon}", r"did you mean \{town\}\?"),
        ("{group} {", r"a stray '\{'"),
        ("{group} }", r"a stray '\}'"),
        ("{{group}}", "a stray"),
        ("{group.__class__}", "a stray"),
        ("{group!r}", "a stray"),
        ("{0}", "a stray"),
        ("{}", "a stray"),
        ("{ group }", "a stray"),
        ("people work", r"no slot \{group\}"),
        ("{subject} work", r"no slot \{group\}"),
        ("", r"no slot \{group\}"),
    ],
)
def test_a_template_that_cannot_be_used(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_template(template, {"town"})


@pytest.mark.parametrize(
    "template", ["{group} work", "{is} {group}?", "people in {town}", "{group} {town} {reflexive}"]
)
def test_a_template_that_can_be_used(template: str) -> None:
    check_template(template, {"town"})


@pytest.mark.parametrize(
    ("template", "group", "problem"),
    [
        ("{group}  work", WOMEN, "two spaces in a row"),
        ("{group} , they work", WOMEN, "a space before a punctuation mark"),
        ("{group} work .", WOMEN, "a space before a punctuation mark"),
        ("the the {group} work", WOMEN, "a doubled word"),
        ("Some women {group} work", WOMEN, "a doubled word"),
        ("A {group} works", WOMAN, "two articles in a row"),
        ("The {group} works", Group("a woman", "singular"), "two articles in a row"),
        ("I saw the {group}", Group("a woman", "singular"), "two articles in a row"),
        ("I saw a {group}", Group("older adult", "singular"), "'a' before a vowel"),
        ("I saw an {group}", Group("student", "singular"), "'an' before a consonant"),
        ("{group} work ", WOMEN, "a space at the start or end"),
        (" {group} work", WOMEN, "a space at the start or end"),
        ("{group} is late", WOMEN, "'is' does not agree with 'women' in 'Women is late'; write {is}"),
        ("{group} was late", WOMEN, "write {was}"),
        ("{group} has time", WOMEN, "write {has}"),
        ("{group} does well", WOMEN, "write {does}"),
        ("{group} are late", WOMAN, "'are' does not agree with 'the woman'"),
        ("It rained. {group} were late", WOMAN, "write {was}"),
        ('"{group} have time"', WOMAN, "write {has}"),
        ("{group} do well", MAN, "write {does}"),
        ("I saw a {group}", WOMEN, "an article before the plural 'women'"),
        ("I saw an {group}", Group("older adults"), "an article before the plural 'older adults'"),
    ],
)
def test_what_reads_wrongly_is_named(template: str, group: Group, problem: str) -> None:
    assert problem in (lint(template, group) or "nothing")


@pytest.mark.parametrize(
    ("template", "group"),
    [
        ("{group} work", WOMEN),
        ("{group} {is} late, and {subject} {pronoun_is} sorry.", NURSE),
        ("Next to {group} was a dog", WOMEN),
        ("I know that that {group} had had time", Group("woman", "singular", "she")),
        ("I saw an {group}", Group("older adult", "singular")),
        ("I saw a {group}", Group("student", "singular")),
        ("A European and a university met {group}", WOMEN),
        ("A one-day pass for {group} took an hour, to a user's surprise", WOMEN),
        ("An MBA was given to {group}", WOMEN),
        ("The {group} in the room", WOMEN),
        ("{group} are late", WOMEN),
        ("{group} is late", WOMAN),
        ("{group} work ... or not", WOMEN),
        ("An x-ray was made of {group}", WOMEN),
    ],
)
def test_what_reads_well_is_let_through(template: str, group: Group) -> None:
    assert lint(template, group) is None


@pytest.mark.parametrize(
    ("template", "group"),
    [
        ("In town, {group} said that {subject} are tired.", WOMAN),
        ("In town, {group} said that {subject} is tired.", WOMEN),
        ("In town, {group} said that {subject} was tired.", NURSE),
    ],
)
def test_a_literal_verb_behind_a_pronoun_must_agree_too(template: str, group: Group) -> None:
    # "she are": the slot {pronoun_is} is there for this, and a linter of rendered pairs must say so.
    assert lint(template, group) is not None


WORDS = st.text(string.ascii_letters + " ,.'é", min_size=1, max_size=12)
GROUPS = st.builds(
    Group,
    noun=WORDS,
    number=st.sampled_from(["plural", "singular"]),
    pronouns=st.sampled_from(sorted(PRONOUNS)),
    extra=st.fixed_dictionaries({"town": WORDS}),
)
TEMPLATES = st.lists(WORDS | st.sampled_from([f"{{{slot}}}" for slot in sorted({*SLOTS, "town"})]), max_size=8).map(
    lambda parts: "".join([*parts, "{group}"])
)


@given(TEMPLATES, GROUPS)
def test_rendering_fills_every_slot_and_changes_nothing_else(template: str, group: Group) -> None:
    check_template(template, {"town"})
    text = render(template, group)
    assert not set("{}") & set(text)
    plain = template
    for slot in {*SLOTS, "town"}:
        plain = plain.replace(f"{{{slot}}}", group.fill(slot))
    assert text.lower() == plain.lower()
    lint(template, group)


@given(st.text(string.printable, max_size=30), GROUPS)
def test_any_text_is_either_refused_or_rendered(template: str, group: Group) -> None:
    try:
        check_template(template, {"town"})
    except ValueError:
        return
    assert not set("{}") & set(render(template, group))
