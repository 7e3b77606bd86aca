"""What the readers of public sets give: items that an audit can ask a model about."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Association", "Dataset", "Pair", "Question"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences that differ only in the group that they name."""

    category: str
    cluster: str
    """The unit of analysis: a writer, an occupation, a topic."""
    more: str
    """The sentence that follows a stereotype."""
    less: str
    place: str
    """Where it stands, for messages: `FILE:LINE`."""
    direction: str = ""
    """Whether the set calls the pair stereotyping or antistereotyping, where it does."""


@dataclass(frozen=True, slots=True)
class Association:
    """One context with three endings: a context association test of StereoSet (Nadeem et al. 2021)."""

    part: str
    """`intrasentence` (one sentence, a blank filled) or `intersentence` (a second sentence)."""
    category: str
    cluster: str
    """The target term."""
    context: str
    """What comes before; empty for a sentence that is filled in."""
    stereotype: str
    anti_stereotype: str
    unrelated: str
    place: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question of BBQ (Parrish et al. 2022) with its three answers."""

    category: str
    cluster: str
    """The template (question_index) within the category."""
    context: str
    question: str
    answers: tuple[str, str, str]
    correct: int
    unknown: int
    """Which answer says that it cannot be known."""
    stereotyped: int | None
    """Which answer names the stereotyped group; None where the file does not tell."""
    ambiguous: bool
    """Whether the context leaves the answer open."""
    negative: bool
    """Whether the question asks who did something bad."""
    place: str

    def biased(self, answer: int) -> bool | None:
        """Whether an answer follows the stereotype; None for `unknown`, and where that cannot be said.

        To a negative question the biased answer is the stereotyped group, to any other it is the other group
        (Parrish et al. 2022, section 4).
        """
        if answer == self.unknown or self.stereotyped is None:
            return None
        return (answer == self.stereotyped) == self.negative


@dataclass(frozen=True, slots=True)
class Dataset:
    """What was read. One of the three lists of items is filled."""

    pairs: tuple[Pair, ...] = ()
    associations: tuple[Association, ...] = ()
    questions: tuple[Question, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader of the report must know of the file: odd, doubled or unusable rows, by their places."""
