"""What every coder says of every answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmaudit.coding.codebook import ANY, Category, Codebook
from llmaudit.coding.human import HumanCodes
from llmaudit.coding.rules import RulesCoder

__all__ = ["Coded", "Codes", "by_model", "by_people", "by_rules", "held_out", "is_blank", "right_on_examples"]

#: Category -> codes of all texts, shape (texts,): 1, 0, or NaN where the coder did not code a text.
Codes = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Coded:
    """Answers and their codes."""

    texts: tuple[str | None, ...]
    """None where there is no answer."""
    clusters: tuple[str, ...]
    """The prompt or template that each answers."""
    codes: Mapping[str, Codes]
    """Coder -> its codes, the first coder's first; none has a code where there is no answer."""

    @classmethod
    def of(cls, texts: Sequence[str | None], clusters: Sequence[str], codes: Mapping[str, Codes]) -> Coded:
        """Complete the codes: `any_category` is added, and an empty answer, which has no category, is coded once.

        That two coders find nothing in nothing would look like agreement: so only the first coder codes it.
        """
        blank = np.array([is_blank(text) for text in texts], dtype=np.bool_)
        absent = np.array([text is None for text in texts], dtype=np.bool_)
        complete: dict[str, Codes] = {}
        for coder, found in codes.items():
            each = {name: np.where(blank, math.nan if complete else 0.0, column) for name, column in found.items()}
            each = {name: np.where(absent, math.nan, column) for name, column in each.items()}
            complete[coder] = {**each, ANY: np.max(list(each.values()), axis=0)}
        return cls(tuple(texts), tuple(clusters), complete)

    @property
    def first(self) -> Codes:
        """The codes that are the prevalence."""
        return next(iter(self.codes.values()))

    def of_category(self, category: str) -> dict[str, NDArray[np.float64]]:
        """Return coder -> codes of one category."""
        return {coder: codes[category] for coder, codes in self.codes.items()}

    def scores(self) -> dict[str, tuple[float | None, ...]]:
        """Return every code by coder and category, None for none: what is stored with the answers."""
        return {
            f"{coder}.{name}": tuple(None if math.isnan(code) else code for code in column.tolist())
            for coder, codes in self.codes.items()
            for name, column in codes.items()
            if name != ANY
        }


def is_blank(text: str | None) -> bool:
    """Whether an answer has no letter or digit."""
    return text is None or not any(map(str.isalnum, text))


def by_rules(codebook: Codebook, texts: Sequence[str | None]) -> Codes:
    """Have all texts coded by the codebook's patterns."""
    plain = [text or "" for text in texts]
    return {name: RulesCoder(category).codes(plain) for name, category in codebook.categories.items()}


def by_model(margins: Mapping[str, Mapping[str, float]], texts: Sequence[str | None]) -> Codes:
    """Read off a model coder's margins: category -> index of a text as a string -> log odds of yes."""
    return {
        name: np.array([_sign(each.get(str(index), math.nan)) for index in range(len(texts))])
        for name, each in margins.items()
    }


def by_people(human: HumanCodes, categories: Sequence[str], texts: Sequence[str | None]) -> Codes:
    """Look the texts up among those that people coded."""
    plain = [text or "" for text in texts]
    return {name: human.of(plain, name) for name in categories}


def held_out(category: Category) -> dict[str, str]:
    """Return the examples that a model coder's prompt does not show, by key: `yes.2`, `no.3`."""
    kinds = {"yes": category.examples.yes, "no": category.examples.no}
    return {f"{kind}.{number}": text for kind, texts in kinds.items() for number, text in enumerate(texts[1:], 2)}


def right_on_examples(category: Category, margins: Mapping[str, float] | None) -> tuple[int, int]:
    """Return how many of the codebook's own examples a coder gets right, and of how many.

    The model coder's margins by key, or None for the rules coder, which is held against all examples.
    """
    if margins is None:
        rules, examples = RulesCoder(category), category.examples
        wrong = rules.codes(examples.yes) == 0, rules.codes(examples.no) == 1
        total = len(examples.yes) + len(examples.no)
        return total - int(wrong[0].sum() + wrong[1].sum()), total
    keys = held_out(category)
    return sum(_sign(margins.get(key, math.nan)) == float(key.startswith("yes")) for key in keys), len(keys)


def _sign(margin: float) -> float:
    return math.nan if math.isnan(margin) else float(margin > 0)
