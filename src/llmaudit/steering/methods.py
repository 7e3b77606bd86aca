"""The ways to steer a model, behind one small interface that a plugin can add to.

A method turns a prompt and its sampling into those of one condition. To offer one more, call `offer` where a plugin or
a conftest.py is imported; a suite then names it by its `name`::

    class Shout:
        name, description, needs, requires, graded = "shout", "the prompt in capitals", None, None, False

        def apply(self, prompt, sampling, push):
            return prompt.upper() if push.side == "positive" else prompt, sampling

    offer(Shout())
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, Protocol

from llmaudit.types import Direction, Sampling

__all__ = ["METHODS", "Contrasted", "Method", "Push", "offer"]

#: The fields of Sampling that an engine may honour or not.
Steered = Literal["logit_bias", "word_bias", "direction"]
#: The keys of a suite that a method may need.
Required = Literal["words", "contrast", "instructions"]


@dataclass(frozen=True, slots=True)
class Contrasted:
    """Two lists of texts whose difference is a direction, and the layer that it is added to."""

    toward: tuple[str, ...]
    away: tuple[str, ...]
    layer: int
    """Counted from 1."""


@dataclass(frozen=True, slots=True)
class Push:
    """What a method is given to steer one condition with."""

    side: str
    """positive, negative or placebo."""
    strength: float
    """Above 0, in the method's own unit."""
    words: tuple[tuple[int, ...], ...] = ()
    """Token ids of every spelling of the side's words; empty unless the method requires words."""
    contrast: Contrasted | None = None
    """Already the side's own: swapped for negative, mixed for the placebo."""
    instruction: str = ""


class Method(Protocol):
    """A way to steer."""

    @property
    def name(self) -> str:
        """The word that a suite uses."""

    @property
    def description(self) -> str:
        """What it does to the model, with the unit of its strength, for the report."""

    @property
    def needs(self) -> Steered | None:
        """Which field of Sampling an engine must honour (`Steerable.steering`); None for what every engine can."""

    @property
    def requires(self) -> Required | None:
        """Which key of the suite it steers by."""

    @property
    def graded(self) -> bool:
        """Whether it has strengths; one that has none is on (1) or off (0)."""

    def apply(self, prompt: str, sampling: Sampling, push: Push) -> tuple[str, Sampling]:
        """Return the prompt and the sampling of one condition; pure."""


@dataclass(frozen=True, slots=True)
class _FirstTokens:
    name: str = "first_tokens"
    description: str = "strength nats on the first token of every spelling of a word, at every step"
    needs: Steered = "logit_bias"
    requires: Required = "words"
    graded: bool = True

    def apply(self, prompt: str, sampling: Sampling, push: Push) -> tuple[str, Sampling]:
        return prompt, _biased(sampling, (ids[0] for ids in push.words), push.strength)


@dataclass(frozen=True, slots=True)
class _Tokens:
    name: str = "tokens"
    description: str = "strength nats on every token of every spelling of a word, at every step"
    needs: Steered = "logit_bias"
    requires: Required = "words"
    graded: bool = True

    def apply(self, prompt: str, sampling: Sampling, push: Push) -> tuple[str, Sampling]:
        return prompt, _biased(sampling, (token for ids in push.words for token in ids), push.strength)


@dataclass(frozen=True, slots=True)
class _Words:
    name: str = "words"
    description: str = (
        "strength nats on the first token of every spelling of a word at every step, and on each further token only"
        " where the answer has just spelt the tokens before it"
    )
    needs: Steered = "word_bias"
    requires: Required = "words"
    graded: bool = True

    def apply(self, prompt: str, sampling: Sampling, push: Push) -> tuple[str, Sampling]:
        bias = tuple((ids, push.strength) for ids in sorted(set(push.words)))
        return prompt, replace(sampling, word_bias=bias)


@dataclass(frozen=True, slots=True)
class _Activation:
    name: str = "activation"
    description: str = (
        "the direction between two lists of texts, added to a layer's output; strength 1 is the mean norm of that"
        " output (Rimsky et al. 2024)"
    )
    needs: Steered = "direction"
    requires: Required = "contrast"
    graded: bool = True

    def apply(self, prompt: str, sampling: Sampling, push: Push) -> tuple[str, Sampling]:
        if push.contrast is None:
            raise ValueError("the method activation needs contrasted texts")
        texts = push.contrast
        return prompt, replace(sampling, direction=Direction(texts.layer, texts.toward, texts.away, push.strength))


@dataclass(frozen=True, slots=True)
class _Instruction:
    name: str = "instruction"
    description: str = "an instruction before the prompt, with a blank line between; strength 1 is its presence"
    needs: None = None
    requires: Required = "instructions"
    graded: bool = False

    def apply(self, prompt: str, sampling: Sampling, push: Push) -> tuple[str, Sampling]:
        return f"{push.instruction}\n\n{prompt}", sampling


def _biased(sampling: Sampling, tokens: Iterable[int], strength: float) -> Sampling:
    return replace(sampling, logit_bias=tuple((token, strength) for token in sorted(set(tokens))))


_methods: dict[str, Method] = {
    method.name: method for method in (_FirstTokens(), _Tokens(), _Words(), _Activation(), _Instruction())
}

#: Every method by its name, those that plugins offered included.
METHODS: Mapping[str, Method] = MappingProxyType(_methods)


def offer(method: Method) -> None:
    """Add a method to those that a suite can name.

    Offering a class again replaces its method, so that a module may be imported twice. Raises ValueError where another
    class has the name.
    """
    known, mine = _methods.get(method.name), type(method)
    if known is not None and (type(known).__module__, type(known).__qualname__) != (mine.__module__, mine.__qualname__):
        raise ValueError(
            f"two methods of steering are called {method.name!r}: {type(known).__module__}.{type(known).__qualname__}"
            f" and {mine.__module__}.{mine.__qualname__}"
        )
    _methods[method.name] = method
