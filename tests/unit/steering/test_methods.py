"""The ways to steer, and how a plugin adds one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmaudit.steering import methods
from llmaudit.steering.methods import METHODS, Contrasted, Push, offer
from llmaudit.types import Direction, Sampling

BASE = Sampling(temperature=0.7)
PUSH = Push("positive", 2.0, ((5, 6), (3,), (5, 7)), Contrasted(("a",), ("b",), 4), "Be kind.")


class Prefix:
    """A method as a plugin would write it."""

    name, description, needs, requires, graded = "prefix", "a word before the prompt", None, None, False

    def apply(self, prompt: str, sampling: Sampling, push: Push) -> tuple[str, Sampling]:
        return f"{push.side}: {prompt}", sampling


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = dict(methods._methods)
    yield
    methods._methods.clear()
    methods._methods.update(before)


@pytest.mark.parametrize(
    ("name", "prompt", "sampling"),
    [
        ("first_tokens", "p", Sampling(temperature=0.7, logit_bias=((3, 2.0), (5, 2.0)))),
        ("tokens", "p", Sampling(temperature=0.7, logit_bias=((3, 2.0), (5, 2.0), (6, 2.0), (7, 2.0)))),
        ("words", "p", Sampling(temperature=0.7, word_bias=(((3,), 2.0), ((5, 6), 2.0), ((5, 7), 2.0)))),
        ("activation", "p", Sampling(temperature=0.7, direction=Direction(4, ("a",), ("b",), 2.0))),
        ("instruction", "Be kind.\n\np", BASE),
    ],
)
def test_what_each_method_makes_of_a_prompt(name: str, prompt: str, sampling: Sampling) -> None:
    assert METHODS[name].apply("p", BASE, PUSH) == (prompt, sampling)


def test_every_method_says_what_it_needs() -> None:
    assert {name: (method.needs, method.requires, method.graded) for name, method in METHODS.items()} == {
        "first_tokens": ("logit_bias", "words", True),
        "tokens": ("logit_bias", "words", True),
        "words": ("word_bias", "words", True),
        "activation": ("direction", "contrast", True),
        "instruction": (None, "instructions", False),
    }
    assert all(method.description for method in METHODS.values())


def test_a_direction_needs_texts() -> None:
    with pytest.raises(ValueError, match="needs contrasted texts"):
        METHODS["activation"].apply("p", BASE, Push("positive", 1.0))


def test_a_plugin_offers_a_method_of_its_own() -> None:
    offer(Prefix())
    assert METHODS["prefix"].apply("p", BASE, PUSH) == ("positive: p", BASE)
    offer(Prefix())  # a conftest.py may be imported twice
    assert list(METHODS)[-1] == "prefix"


def test_two_methods_of_one_name_are_refused() -> None:
    class Words(Prefix):
        name = "words"

    with pytest.raises(ValueError, match=r"two methods of steering are called 'words': llmaudit\.steering"):
        offer(Words())
    assert METHODS["words"].needs == "word_bias"


def test_the_methods_cannot_be_changed_in_passing() -> None:
    methods: Any = METHODS
    with pytest.raises(TypeError):
        methods["words"] = Prefix()
