"""How a suite writes what it steers by: lists of words, instructions, contrasted texts."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, model_validator

from llmaudit.audit import Spec
from llmaudit.steering.design import PLACEBO, SIDES
from llmaudit.steering.methods import METHODS, Contrasted

__all__ = ["Contrast", "Instructions", "MethodName", "Spellings", "Words", "spellings_of"]

#: Which forms of a word are steered by: after a space and at the start of a text, or after a space alone.
Spellings = Literal["all", "after_space"]

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]


def _word(value: str) -> str:
    if value.split() != [value] or not any(map(str.isalpha, value)):
        raise ValueError(f"{value!r} is no word: a word has letters and no white space")
    return value


Word = Annotated[str, AfterValidator(_word)]
WordList = Annotated[list[Word], Field(min_length=1)]


def spellings_of(word: str, which: Spellings) -> tuple[str, ...]:
    """Return how a word may stand in an answer: after a space and at its start, as it is and capitalised."""
    forms = (word, word[0].upper() + word[1:])
    spaced = [f" {form}" for form in forms]
    return tuple(dict.fromkeys([*spaced, *forms] if which == "all" else spaced))


class Words(Spec):
    """The words that an answer is steered towards."""

    positive: WordList
    """Words that should raise the score."""
    negative: WordList
    """Words that should lower it."""
    placebo: WordList
    """As many words as are positive, and as frequent, that should leave it alone."""

    @model_validator(mode="after")
    def _comparable(self) -> Words:
        if len(self.placebo) != len(self.positive):
            raise ValueError(
                f"placebo has {len(self.placebo)} words and positive {len(self.positive)}: a placebo is a push of the"
                " same size"
            )
        home: dict[str, str] = {}
        for side, words in self.lists().items():
            for word in words:
                if (other := home.setdefault(word.casefold(), side)) != side:
                    raise ValueError(f"{word!r} is both in {other} and in {side}")
            if twice := _twice([word.casefold() for word in words]):
                raise ValueError(f"{twice!r} stands twice in {side}")
        return self

    def lists(self) -> dict[str, list[str]]:
        """Side -> its words."""
        return {side: getattr(self, side) for side in (*SIDES, PLACEBO)}


class Instructions(Spec):
    """What a user would try first: a sentence before the prompt."""

    positive: Text
    negative: Text
    placebo: Text
    """An instruction that asks for nothing in particular."""

    def of(self, side: str) -> str:
        """The instruction of a side."""
        text: str = getattr(self, side)
        return text


class Contrast(Spec):
    """Pairs of texts that differ in the direction alone, and the layer whose output it is added to."""

    toward: list[Text]
    away: list[Text]
    """One for each text of `toward`, in the same order: the same topic, the other way."""
    layer: int = Field(ge=1)
    """Counted from 1."""

    @model_validator(mode="after")
    def _paired(self) -> Contrast:
        if len(self.toward) != len(self.away):
            raise ValueError(f"toward has {len(self.toward)} texts and away {len(self.away)}: they come in pairs")
        if len(self.toward) < 2 or len(self.toward) % 2:
            raise ValueError(
                f"{len(self.toward)} pairs of texts: the placebo turns every second pair round, which takes an even"
                " number of them"
            )
        if twice := _twice([*self.toward, *self.away]):
            raise ValueError(f"{twice!r} stands here twice")
        return self

    def of(self, side: str) -> Contrasted:
        """The texts of a side.

        The placebo turns every second pair round: its direction has half of the pairs in it with either sign, so that
        what the pairs have in common cancels, and its length is scaled as theirs.
        """
        toward, away = tuple(self.toward), tuple(self.away)
        if side == "negative":
            toward, away = away, toward
        if side == PLACEBO:
            turned = [pair[::-1] if number % 2 else pair for number, pair in enumerate(zip(toward, away, strict=True))]
            toward, away = (tuple(texts) for texts in zip(*turned, strict=True))
        return Contrasted(toward, away, self.layer)


def _known_method(name: str, info: ValidationInfo) -> str:
    if name not in METHODS:
        close = difflib.get_close_matches(name, METHODS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown method {name!r}{hint} (known: {', '.join(METHODS)})")
    required = METHODS[name].requires
    # A key that is there and wrong has a message of its own.
    if required and required in info.data and info.data[required] is None:
        raise ValueError(f"the method {name} needs the key {required!r}")
    return name


#: A method of steering; the keys that it may need are declared before it.
MethodName = Annotated[str, AfterValidator(_known_method)]


def _twice(values: Sequence[str]) -> str | None:
    return next((value for value, count in Counter(values).items() if count > 1), None)
