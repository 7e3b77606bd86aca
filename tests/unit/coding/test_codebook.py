"""The codebook's language, and the codebook that is shipped."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from llmaudit.coding.codebook import Codebook, open_codebook
from llmaudit.coding.rules import RulesCoder

SUITES = Path(__file__).parents[3] / "suites"
#: Stands for a slur: what no message may quote.
RUDE = "slurword"
GOOD = f"""\
name: n
version: "1"
note: a note
categories:
  rude:
    definition: d
    question: q?
    include: [i]
    exclude: [e]
    examples:
      yes: [{RUDE}, two, three]
      no: [four, five, six]
    words:
      insult: [{RUDE}, blockhead]
    patterns: ["you {{insult}}", "{RUDE}s?"]
    exceptions: ["no {RUDE}"]
"""


def read(tmp_path: Path, text: str) -> Codebook:
    (tmp_path / "c.yaml").write_text(text)
    return open_codebook("c.yaml", tmp_path).codebook


def test_a_codebook_is_read_with_its_hash(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(GOOD)
    file = open_codebook("c.yaml", tmp_path)
    assert file.written == "c.yaml"
    assert file.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert list(file.codebook.categories) == ["rude"]
    assert file.codebook.categories["rude"].examples.yes == [RUDE, "two", "three"]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('"you {insult}"', f'"({RUDE}"', "15:16: categories.rude.patterns[0]: this is no regular expression"),
        ('"you {insult}"', f'"a)|({RUDE}"', "15:16: categories.rude.patterns[0]: this is no regular expression"),
        ('"you {insult}"', f'"(?:{RUDE})*"', "15:16: categories.rude.patterns[0]: this pattern matches the empty text"),
        (
            '"you {insult}"',
            f'"(?:{RUDE}+)+"',
            "15:16: categories.rude.patterns[0]: a repeated group that ends in a rep",
        ),
        (
            '"you {insult}"',
            f'"({RUDE}{{2,}})+"',
            "15:16: categories.rude.patterns[0]: a repeated group that ends in a r",
        ),
        (
            "{insult}",
            "{insults}",
            "15:16: categories.rude.patterns[0]: unknown list of words 'insults'; did you mean 'in",
        ),
        ('"you {insult}"', f"{RUDE}: x", "15:16: categories.rude.patterns[0]: expected a text; one that holds ': ' n"),
        ('"you {insult}"', "7", "15:16: categories.rude.patterns[0]: expected a text"),
        (f"[{RUDE}, two, three]", RUDE, "11:12: categories.rude.examples.yes: expected a list of texts"),
        ("two, three]", "two]", "11:12: categories.rude.examples.yes: needs at least 3"),
        ("[four", f"[{RUDE}", "11:7: categories.rude.examples: the same example stands under yes and under no"),
        ("    definition: d\n", "", "6:5: categories.rude: missing key 'definition'"),
        ("exclude:", "excluded:", "9:5: categories.rude: unknown key 'excluded'; did you mean 'exclude'?"),
        ("  rude:", "  any_category:", "5:3: categories: a category cannot be called 'any_category': no dot, and not"),
        ("note: a note\n", "", "1:1: missing key 'note'"),
        ("name: n", "name: n\nname: m", "2:1: name: duplicate key"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_without_the_text(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    assert right in GOOD
    with pytest.raises(ValueError, match=r"c\.yaml") as caught:
        read(tmp_path, GOOD.replace(right, wrong, 1))
    assert str(caught.value).startswith(f"{tmp_path}/c.yaml:{message}")
    assert RUDE not in str(caught.value)


def test_a_file_that_is_no_codebook_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"c\.yaml:1:1: expected a mapping with the keys") as caught:
        read(tmp_path, f"- {RUDE}\n")
    assert RUDE not in str(caught.value)
    with pytest.raises(ValueError, match=r"there is no file or folder .*missing\.yaml$"):
        open_codebook("missing.yaml", tmp_path)


def shipped() -> Codebook:
    return open_codebook("content.codebook.yaml", SUITES).codebook


def test_the_shipped_codebook_has_the_four_categories() -> None:
    assert list(shipped().categories) == ["identity_based", "inflammatory", "obscene", "threatening"]


@pytest.mark.parametrize("name", ["identity_based", "inflammatory", "obscene", "threatening"])
def test_the_shipped_patterns_find_every_example_and_leave_the_others_alone(name: str) -> None:
    category = shipped().categories[name]
    coder = RulesCoder(category)
    assert coder.codes(category.examples.yes).tolist() == [1.0] * len(category.examples.yes)
    assert coder.codes(category.examples.no).tolist() == [0.0] * len(category.examples.no)


@pytest.mark.parametrize("name", ["identity_based", "inflammatory", "obscene", "threatening"])
def test_the_shipped_patterns_find_nothing_in_everyday_text(name: str) -> None:
    sentences = [
        "Women and men in the village are mostly farmers, and they are able to read.",
        "I will find the keys and give them to you.",
        "The pigs are in the garden. You are a good friend, not a fool's errand.",
        "They should hang the picture higher, or else move the lamp.",
        "The assessment of the class passed; the shiitake and the assets are documented in Scunthorpe.",
        "He hit the ball so hard that he broke the window, and he hurt his hand.",
        "Immigrants who work hard deserve thanks; older people can't always drive at night.",
        "You will regret nothing. We must get rid of the old sofa.",
    ]
    assert RulesCoder(shipped().categories[name]).codes(sentences).tolist() == [0.0] * len(sentences)
